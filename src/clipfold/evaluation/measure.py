"""Compute every metric of a model with its interval: pooled and by fold, overall and by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from clipfold.evaluation import intervals, metrics, within_folds
from clipfold.evaluation.pooling import Pooled
from clipfold.storage.files import Array

SCHEMA = pa.schema(
    {
        "model": pa.string(),
        "scope": pa.string(),  # `pooled` (the test splits of all folds, mean over repeats), or `fold-<number>`
        "class": pa.string(),  # "" for metrics over all classes
        "decision": pa.string(),  # `argmax`: the most probable class; `val`: threshold chosen on val; "": not needed
        "metric": pa.string(),
        "value": pa.float64(),
        "low": pa.float64(),  # 95 % interval; NaN if there is none
        "high": pa.float64(),
        "leakage": pa.string(),  # the leaks allowed, `mark` of audit.json; "" if none
    }
)
_DECIDED = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc")
_DECIDED_PER_CLASS = ("precision", "recall", "f1")

Key: TypeAlias = tuple[str, str, str]
"""Class ("" for all), decision, metric."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of a model.

    Args:
        pooled: The model's predictions.
        values: Metrics on the test splits of all folds together, mean over repeats.
        resamples: The same metrics on every draw of groups, float of (resamples,); see `within_folds.smoothed`.
        folds: Metrics on each fold's test split, by fold number.
        chance: Variance of the metrics from chance in training, see `chance.variances`; empty if it is not known.
    """

    pooled: Pooled
    values: dict[Key, float]
    resamples: dict[Key, Array]
    folds: dict[int, dict[Key, float]]
    chance: Mapping[tuple[str, ...], float] = field(default_factory=dict)


def measure(
    pooled: Pooled, classes: Sequence[str], counts: Array, chance: Mapping[tuple[str, ...], float] | None = None
) -> Measured:
    """Compute all metrics of a model, on the data and on every draw of groups.

    With several repeats, metrics are means over repeats. All repeats of a draw use the same groups, because predictions
    of the same video are not independent.

    Args:
        pooled: The model's predictions.
        classes: Sorted class names.
        counts: Result of `intervals.draw`.
        chance: See `Measured`.
    """
    repeats = pooled.repeats
    resamples = _mean([_resampled(pooled, rows, classes, counts) for rows in repeats])
    numbers = pooled.folds
    folds = {int(fold): _values(pooled, np.flatnonzero(numbers == fold), classes) for fold in np.unique(numbers)}
    return Measured(pooled, values(pooled, classes), resamples, folds, chance or {})


def values(pooled: Pooled, classes: Sequence[str]) -> dict[Key, float]:
    """Compute all metrics of a model, means over repeats."""
    found = _mean([_values(pooled, rows, classes) for rows in pooled.repeats])
    return {key: float(value) for key, value in found.items()}


def table(model: str, measured: Measured, classes: Sequence[str], training: float = 0.0) -> list[dict[str, Any]]:
    """Return the metrics as rows of `SCHEMA`, without `leakage`; `training` as for `intervals.standard_error`."""
    targets, groups = measured.pooled.targets, measured.pooled.groups
    number = int(groups.max()) + 1
    degrees = {"": intervals.degrees_of_freedom(targets, groups)}
    degrees |= {name: intervals.degrees_of_freedom(targets == c, groups) for c, name in enumerate(classes)}
    alone = {name for c, name in enumerate(classes) if len(np.unique(groups[targets == c])) == 1}
    rows = []
    for key, value in measured.values.items():
        # A class tested in one group shows nothing of how groups differ: its own metrics have no interval.
        draws = measured.resamples[key] if key in measured.resamples and key[0] not in alone else np.array([])
        chance = measured.chance.get(key, 0.0)
        ends = intervals.interval_of(key[2], value, draws, number, degrees[key[0]], len(classes), training, chance)
        rows.append(_row(model, "pooled", key, value, *ends))
    return rows + [
        _row(model, f"fold-{fold}", key, value, np.nan, np.nan)
        for fold, values in measured.folds.items()
        for key, value in values.items()
        if not key[0]
    ]


def _row(model: str, scope: str, key: Key, value: float, low: float, high: float) -> dict[str, Any]:
    return {"model": model, "scope": scope} | dict(
        zip(("class", "decision", "metric", "value", "low", "high"), (*key, value, low, high), strict=True)
    )


def _values(pooled: Pooled, rows: Array, classes: Sequence[str]) -> dict[Key, float]:
    targets, probabilities = pooled.targets[rows], pooled.probabilities[rows]
    found = _keyed(*metrics.compute(targets, probabilities), classes)
    own = pooled.groups[rows], pooled.folds[rows]
    each = [within_folds.auc(targets == c, probabilities[:, c], *own) for c in metrics.positives(len(classes))]
    found |= _keyed(*_within(each), classes)
    if pooled.decided is not None:
        found |= _keyed(*metrics.decisions(targets, pooled.decided[rows], len(classes)), classes, "val")
    return found


def _resampled(pooled: Pooled, rows: Array, classes: Sequence[str], counts: Array) -> dict[Key, Array]:
    targets, probabilities, groups = pooled.targets[rows], pooled.probabilities[rows], pooled.groups[rows]
    found = _keyed(*intervals.resampled(targets, probabilities, groups, counts), classes)
    each = [
        within_folds.smoothed(targets == c, probabilities[:, c], groups, pooled.folds[rows], counts)
        for c in metrics.positives(len(classes))
    ]
    found |= _keyed(*_within(each), classes)
    if pooled.decided is not None:
        decided = intervals.decisions(targets, pooled.decided[rows], groups, counts, len(classes))
        found |= _keyed(*decided, classes, "val")
    return found


def _within(each: list[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Name ROC-AUC within folds: over all classes, as `metrics.compute` averages it, and of each class."""
    over_all = metrics.mean_of_defined(each)[()]  # a number, not an array of one
    return {"roc_auc_within": over_all}, [
        {"roc_auc_within": value} for value in ([*each, *each] if len(each) == 1 else each)
    ]


def _keyed(
    overall: Mapping[str, Any], each: Sequence[Mapping[str, Any]], classes: Sequence[str], decision: str = "argmax"
) -> dict[Key, Any]:
    found = {("", decision if metric in _DECIDED else "", metric): value for metric, value in overall.items()}
    for name, own in zip(classes, each, strict=True):
        found |= {(name, decision if metric in _DECIDED_PER_CLASS else "", metric): v for metric, v in own.items()}
    return found


def _mean(parts: Sequence[Mapping[Key, Any]]) -> dict[Key, Any]:
    return {key: np.mean([part[key] for part in parts], axis=0) for key in parts[0]}
