"""The tables of scores as the page shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


# What the comparison has where baselines were trained beside the models.
_WITHOUT_SHORTCUT = {"shortcut": False, "better_shortcut": ""} | dict.fromkeys(
    ("over_shortcut", "over_shortcut_low", "over_shortcut_high"), np.nan
)


def comparison(compared: pd.DataFrame, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of the comparison, with the spread over folds.

    Args:
        compared: table of `evaluation.comparison.COMPARISON`, best first.
        scores: table of `evaluation.measure.SCHEMA`.
    """
    metric, by_fold = str(compared["metric"][0]), scores[scores.decision != "val"]
    return [_WITHOUT_SHORTCUT | row | {"folds": _folds(by_fold, row["model"], metric)} for row in records(compared)]


def axis(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The scale that all intervals are drawn on: from a round number below them up to 1.

    Returns:
        `low`, `high` and `ticks`.

    >>> axis([{"low": 0.62, "value": 0.9}, {"low": float("nan"), "value": 0.9}])
    {'low': 0.6, 'high': 1.0, 'ticks': [0.6, 0.7, 0.8, 0.9, 1.0]}
    """
    least = np.nanmin([[row["low"], row["value"]] for row in rows])
    step = 0.05 if least >= 0.8 else 0.1 if least >= 0.4 else 0.2
    steps = max(2, int(np.ceil(round((1 - least) / step, 6))))
    low = round(1 - steps * step, 2)
    return {"low": low, "high": 1.0, "ticks": [round(low + i * step, 2) for i in range(steps + 1)]}


def metrics(scores: pd.DataFrame, models: Sequence[str], decision: str) -> list[dict[str, Any]]:
    """Per model, all pooled metrics; macro recall is left out, for it is balanced accuracy.

    Args:
        scores: table of `evaluation.measure.SCHEMA`.
        models: in the order to show.
        decision: `argmax` (and what needs no decision) or `val`.
    """
    wanted = ("", "argmax") if decision == "argmax" else (decision,)
    pooled = scores[(scores.scope == "pooled") & (scores["class"] == "") & (scores.metric != "macro_recall")]
    rows = pooled[pooled.decision.isin(wanted)]
    by_fold = scores[scores.decision.isin(wanted)]
    return [
        {
            "model": model,
            "values": [
                row | {"folds": _folds(by_fold, model, row["metric"])} for row in records(rows[rows.model == model])
            ],
        }
        for model in models
        if (rows.model == model).any()
    ]


def per_class(scores: pd.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    """Per model and class, its metrics by name, at the most probable class."""
    pooled = scores[(scores.scope == "pooled") & (scores["class"] != "") & (scores.decision != "val")]
    return [
        {"model": model, "class": name, "values": {row["metric"]: row for row in records(table)}}
        for model in models
        for name, table in pooled[pooled.model == model].groupby("class")
    ]


def _folds(scores: pd.DataFrame, model: str, metric: str) -> dict[str, float]:
    """Mean and standard deviation over folds; folds without a value are left out."""
    values = scores.value[(scores.model == model) & (scores.metric == metric) & scores.scope.str.startswith("fold-")]
    return {"mean": values.mean(), "sd": values.std(), "count": values.count()}
