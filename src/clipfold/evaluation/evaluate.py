"""Pooling every fold's test predictions, and everything computed from them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.evaluation import figures, metrics
from clipfold.evaluation.intervals import draw, interval, resampled
from clipfold.store import Array, PathLike, read_table, replacing, write_table

logger = logging.getLogger(__name__)

METRICS = pa.schema(
    {
        "model": pa.string(),
        "scope": pa.string(),  # `pooled` (all folds' test parts as one), or `fold-<number>`
        "class": pa.string(),  # "" for metrics over all classes
        "metric": pa.string(),
        "value": pa.float64(),
        "low": pa.float64(),  # 95 % interval; NaN where there is none
        "high": pa.float64(),
    }
)
COMPARISON = pa.schema(
    {
        "model": pa.string(),
        "metric": pa.string(),  # `roc_auc` for two classes, `balanced_accuracy` for more
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "difference": pa.float64(),  # to the best model, at most 0
        "difference_low": pa.float64(),
        "difference_high": pa.float64(),
        "tied": pa.bool_(),  # the interval of the difference contains 0
    }
)


def evaluate(
    predictions: Mapping[str, Sequence[PathLike]],
    splits: PathLike,
    quarantine: PathLike,
    outputs: Mapping[str, PathLike],
    seed: int,
) -> None:
    """Compare models on the pooled predictions for videos that they were not trained on.

    Args:
        predictions: model -> the tables that fitting wrote, in the order of folds.
        splits: table of the folds.
        quarantine: table of the videos that are not used.
        outputs: `predictions` (table of `id label group fold model p_<class>...`, by model, then id), `metrics` (table
            of `METRICS`), `comparison` (table of `COMPARISON`, best model first), `roc` and `confusion` (SVG).
        seed: of the resampling for the intervals.

    Raises:
        ValueError: a video without exactly one prediction, or one both used and quarantined.
    """
    videos = read_table(splits).to_pandas()
    classes = sorted(videos.label.unique())
    both = sorted({*videos.id} & {*read_table(quarantine, ["id"]).column("id").to_pylist()})
    if both:
        raise ValueError(f"{len(both)} videos are used and in quarantine, such as {both[0]!r}: make the splits again")
    pooled = {model: pool(model, paths, videos, classes) for model, paths in predictions.items()}
    counts = draw(videos.group.nunique(), seed)
    scored = {model: _score(table, classes, counts) for model, table in pooled.items()}
    comparison = _compare(scored, metrics.headline(len(classes)))
    order = [row["model"] for row in comparison]
    table = pd.concat([pooled[model] for model in sorted(pooled)], ignore_index=True)
    write_table(outputs["predictions"], pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None))
    write_table(outputs["metrics"], [r for m in order for r in _rows(m, pooled[m], classes, scored[m])], METRICS)
    write_table(outputs["comparison"], comparison, COMPARISON)
    arrays = {model: (_targets(pooled[model], classes), _probabilities(pooled[model], classes)) for model in order}
    for name, draw_figure in {"roc": figures.roc, "confusion": figures.confusion}.items():
        with replacing(outputs[name]) as file:
            file.write(draw_figure(arrays, classes).encode())
    for row in comparison:
        logger.info("%(model)s: %(metric)s %(value).3f [%(low).3f, %(high).3f]", row)


def pool(model: str, paths: Sequence[PathLike], videos: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Gather the test rows of all folds.

    Args:
        model: name of the model.
        paths: its predictions, in the order of folds.
        videos: the table of the folds; labels and groups are taken from here.
        classes: sorted names.

    Returns:
        `id label group fold model p_<class>...`, a row per usable video, sorted by id.

    Raises:
        ValueError: a video is missing, there twice, or predicted in a fold where it is not in the test part.
    """
    columns = [f"p_{name}" for name in classes]
    parts = [
        read_table(path, ["id", "role", *columns]).to_pandas().assign(fold=fold) for fold, path in enumerate(paths)
    ]
    given = pd.concat(parts, ignore_index=True).query("role == 'test'").drop(columns="role")
    expected = videos.loc[videos.role == "test", ["id", "label", "group", "fold"]]
    missing = len({*videos.id} - {*given.id})
    doubled = given.id[given.id.duplicated()].nunique()
    pooled = expected.merge(given, on=["id", "fold"])
    foreign = len(given) - len(pooled)
    if missing or doubled or foreign:
        raise ValueError(
            f"{model}: of {videos.id.nunique()} usable videos, {missing} are missing from the test predictions, "
            f"{doubled} are doubled, and {foreign} rows are not of their fold's test part: "
            "delete the model's results and train it again"
        )
    pooled.insert(4, "model", model)
    return pooled.sort_values("id", ignore_index=True)


class _Scores(NamedTuple):
    """Pooled metrics and their resamples, over all classes and per class."""

    overall: dict[str, float]
    each: list[dict[str, float]]
    resampled_overall: dict[str, Array]
    resampled_each: list[dict[str, Array]]


def _targets(table: pd.DataFrame, classes: Sequence[str]) -> Array:
    return table.label.map({name: i for i, name in enumerate(classes)}).to_numpy(np.int64)


def _probabilities(table: pd.DataFrame, classes: Sequence[str]) -> Array:
    return table[[f"p_{name}" for name in classes]].to_numpy(np.float64)


def _score(table: pd.DataFrame, classes: Sequence[str], counts: Array) -> _Scores:
    targets, probabilities = _targets(table, classes), _probabilities(table, classes)
    groups = np.unique(table.group.to_numpy(str), return_inverse=True)[1]
    return _Scores(
        metrics.overall(targets, probabilities),
        metrics.per_class(targets, probabilities),
        *resampled(targets, probabilities, groups, counts),
    )


def _compare(scored: Mapping[str, _Scores], metric: str) -> list[dict[str, Any]]:
    """Rows of `COMPARISON`, best first; models that are equally good keep the order of their names."""
    order = sorted(scored, key=lambda model: (-scored[model].overall[metric], model))
    best = scored[order[0]]
    rows = []
    for model in order:
        own = scored[model]
        low, high = interval(own.resampled_overall[metric])
        below, above = interval(own.resampled_overall[metric] - best.resampled_overall[metric])
        rows.append(
            {"model": model, "metric": metric, "value": own.overall[metric], "low": low, "high": high}
            | {"difference": own.overall[metric] - best.overall[metric]}
            | {"difference_low": below, "difference_high": above, "tied": below <= 0 <= above}
        )
    return rows


def _rows(model: str, table: pd.DataFrame, classes: Sequence[str], scores: _Scores) -> list[dict[str, Any]]:
    """Rows of `METRICS`."""
    found = [("pooled", "", scores.overall, scores.resampled_overall)]
    found += [("pooled", *row) for row in zip(classes, scores.each, scores.resampled_each, strict=True)]
    for fold, part in table.groupby("fold"):
        found.append((f"fold-{fold}", "", metrics.overall(_targets(part, classes), _probabilities(part, classes)), {}))
    rows = []
    for scope, name, values, resamples in found:
        for metric, value in values.items():
            low, high = interval(resamples.get(metric, np.array([])))
            rows.append(
                {"model": model, "scope": scope, "class": name, "metric": metric}
                | {"value": value, "low": low, "high": high}
            )
    return rows
