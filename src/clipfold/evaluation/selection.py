"""Correct the value of the best of several models for having been chosen on the videos that it is measured on."""

from collections.abc import Callable, Mapping

import numpy as np

from clipfold.evaluation import intervals, within_folds
from clipfold.evaluation.measure import Key, Measured
from clipfold.storage.files import Array

LEAST = 3
"""The smallest number of models for which the value of the best is corrected."""


def best_of_many(
    measured: Mapping[str, Measured], key: Key, counts: Array, degrees: float, training: float
) -> tuple[float, float, float]:
    """Estimate how good the model is that comparing these models chooses: BBC-CV (Tsamardinos et al. 2018).

    On every draw of groups, the model that is best on them is measured on the groups left out, which took no part in
    the choice. How much worse it is there is luck with the groups of the tests. Luck with those of training, and chance
    in training, add to it as they add to the standard error, which is that of the models chosen, weighted by how often.
    Without this, of 20 models that know nothing of 15 groups, the best has 0.54 to 0.58 (`benchmarks/coverage.py`).

    Args:
        measured: Model name -> metrics of each model that may be chosen.
        key: The metric of the choice, `roc_auc_within` or `balanced_accuracy`.
        counts: The draws of groups that `measured` was resampled on, see `intervals.draw`.
        degrees: Degrees of freedom of the metric.
        training: See `intervals.standard_error`.

    Returns:
        The value and the ends of its interval; NaN if no draw leaves out groups that can be measured.
    """
    inside, outside = (
        np.stack([_value(own, key, weights) for own in measured.values()])
        for weights in (counts, (counts == 0).astype(float))
    )
    # Models that are equally good on a draw share it: the first of them would be the one that looks best on all videos.
    best = inside == inside.max(axis=0)
    chosen = best / np.maximum(1, best.sum(axis=0))
    found = (chosen * outside).sum(axis=0)[best.any(axis=0)]
    if np.isnan(found).all():
        return np.nan, np.nan, np.nan
    groups, often = counts.shape[1], chosen.sum(axis=1)

    def error(of: Callable[[Measured], float]) -> float:
        return float(np.sqrt(np.average(np.square([of(own) for own in measured.values()]), weights=often)))

    with_groups = error(lambda own: intervals.standard_error(own.resamples[key], groups))
    whole = error(lambda own: intervals.standard_error(own.resamples[key], groups, training, own.chance.get(key, 0.0)))
    looks = max(own.values[key] for own in measured.values())
    luck = (looks - float(np.nanmean(found))) * (whole / with_groups if with_groups > 0 else 1.0)
    value = min(1.0, max(0.0, looks - luck))
    return (value, *intervals.interval(value, whole, degrees))


def _value(measured: Measured, key: Key, counts: Array) -> Array:
    """Compute the metric with the given number of copies of each group, float of (resamples,)."""
    pooled, found = measured.pooled, []
    classes = pooled.probabilities.shape[1]
    for rows in pooled.repeats:
        targets, groups = pooled.targets[rows], pooled.groups[rows]
        if key[2] == "roc_auc_within":
            scores = pooled.probabilities[rows, 1]
            found.append(within_folds.resampled(targets == 1, scores, groups, pooled.folds[rows], counts))
        else:
            decided = intervals.decisions(targets, pooled.predicted[rows], groups, counts, classes)
            found.append(decided[0]["balanced_accuracy"])
    return np.asarray(np.mean(found, axis=0))
