"""Prepare the tables of scores for the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Convert rows to dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


# Defaults for comparisons without baselines.
_WITHOUT_SHORTCUT = {"shortcut": False, "best_shortcut": ""} | dict.fromkeys(
    ("over_shortcut", "over_shortcut_low", "over_shortcut_high"), np.nan
)


def comparison(compared: pd.DataFrame, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Add the spread over folds to the rows of the comparison.

    Args:
        compared: Table with schema `evaluation.comparison.COMPARISON`, best first.
        scores: Table with schema `evaluation.measure.SCHEMA`.

    Returns:
        The rows of `compared` with `folds`: `mean`, `sd` and `count`.
    """
    metric, by_fold = str(compared["metric"][0]), scores[scores.decision != "val"]
    return [_WITHOUT_SHORTCUT | row | {"folds": _folds(by_fold, row["model"], metric)} for row in records(compared)]


def axis(rows: Sequence[Mapping[str, Any]], chance: float = 1.0) -> dict[str, Any]:
    """Choose the axis for all intervals: from a round number below them, and below `chance`, up to 1.

    Returns:
        `low`, `high` and `ticks`.

    >>> axis([{"low": 0.62, "value": 0.9}, {"low": float("nan"), "value": 0.9}])
    {'low': 0.6, 'high': 1.0, 'ticks': [0.6, 0.7, 0.8, 0.9, 1.0]}
    """
    least = min(chance, np.nanmin([[row["low"], row["value"]] for row in rows]))
    step = 0.05 if least >= 0.8 else 0.1 if least >= 0.4 else 0.2
    steps = max(2, int(np.ceil(round((1 - least) / step, 6))))
    low = round(1 - steps * step, 2)
    return {"low": low, "high": 1.0, "ticks": [round(low + i * step, 2) for i in range(steps + 1)]}


def metrics(scores: pd.DataFrame, models: Sequence[str], decision: str) -> list[dict[str, Any]]:
    """List the pooled metrics of each model, without macro recall, which equals balanced accuracy.

    Args:
        scores: Table with schema `evaluation.measure.SCHEMA`.
        models: Names of the models in display order.
        decision: `argmax`, which includes metrics that need no decision, or `val`.

    Returns:
        Per model with such metrics, `model` and `values`: rows of `scores` with `folds`, as in `comparison`.
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
    """List the metrics of each model and class, by name, at the most probable class."""
    pooled = scores[(scores.scope == "pooled") & (scores["class"] != "") & (scores.decision != "val")]
    return [
        {"model": model, "class": name, "values": {row["metric"]: row for row in records(table)}}
        for model in models
        for name, table in pooled[pooled.model == model].groupby("class")
    ]


def confusions(predictions: pd.DataFrame, models: Sequence[str], most: int = 20) -> list[dict[str, Any]]:
    """List each model's most frequent confusions.

    Args:
        predictions: Result of `videos.mean_over_repeats`.
        models: Names of the models in display order.
        most: Maximum number per model.

    Returns:
        `model`, the true class `label`, the class `predicted`, the number of `videos`, and their `share` of the class;
        most frequent first.
    """
    support = predictions.groupby(["model", "label"]).size()
    counts = predictions[predictions.wrong].groupby(["model", "label", "predicted"]).size().rename("videos")
    table = counts.reset_index().sort_values(["videos", "label", "predicted"], ascending=[False, True, True])
    return [
        row | {"share": row["videos"] / support[model, row["label"]]}
        for model in models
        for row in records(table[table.model == model].head(most))
    ]


def unlabelled(answers: pd.DataFrame, models: Sequence[str], most: int = 200) -> dict[str, Any]:
    """Summarise the answers for videos without a label.

    Args:
        answers: Result of `evaluation.unlabelled.answers` of all models.
        models: Names of the models in display order.
        most: Most videos to list.

    Returns:
        `videos`, their number; `counts`, for each model the videos of each predicted class; and `rows`, the answers of
        the first model for the videos on which its fits agree least.
    """
    shown = [name for name in models if (answers.model == name).any()]
    counts = [
        {"model": model, "classes": answers[answers.model == model].predicted.value_counts().sort_index().to_dict()}
        for model in shown
    ]
    best = answers[answers.model == shown[0]] if shown else answers.head(0)
    columns = best[[name for name in best.columns if name.startswith("p_")]]
    listed = best.assign(probability=columns.max(axis=1)).sort_values(["spread", "id"], ascending=[False, True])
    rows = records(listed.head(most)[["id", "predicted", "probability", "spread"]])
    return {"videos": len(best), "counts": counts, "rows": rows}


def _folds(scores: pd.DataFrame, model: str, metric: str) -> dict[str, float]:
    """Compute mean and standard deviation over the folds that have a value."""
    values = scores.value[(scores.model == model) & (scores.metric == metric) & scores.scope.str.startswith("fold-")]
    return {"mean": values.mean(), "sd": values.std(), "count": values.count()}
