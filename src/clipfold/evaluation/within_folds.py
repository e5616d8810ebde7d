"""Rank the videos of each fold among themselves: the headline for two classes.

ROC-AUC of all folds' scores together also compares videos that different models scored. Of a model that knows nothing
it is below 0.5, because a fold that tests many positives leaves few for training (Parker, Guenter & Bedo 2007; Airola
et al. 2011). Pairs of one group are left out too: its videos share what makes a group, so they do not show how new
groups are ranked, and a fold of few groups has many of them. Where each fold is a group, there are no other pairs.
"""

from collections.abc import Iterator

import numpy as np

from clipfold.evaluation.metrics import ranking
from clipfold.evaluation.resampled_ranking import ranking as resampled_ranking
from clipfold.storage.files import Array


def headline(targets: Array, groups: Array, folds: Array, classes: int) -> str:
    """Name the metric that ranks models: `roc_auc_within` for two classes, balanced accuracy for more.

    Balanced accuracy also ranks where less than half of either class is in folds that test both, such as with
    `leave_one_group_out` and one class in each group: the few pairs left would speak for all others.

    Args:
        targets: Class indices, int of (videos,).
        groups: The group of each video, int of (videos,).
        folds: The fold that tested each video, int of (videos,).
        classes: Number of classes.
    """
    if classes != 2:
        return "balanced_accuracy"
    ranked = np.zeros(len(targets), bool)
    for fold, left_out in _folds(targets == 1, groups, folds):
        pairs = [np.prod(np.bincount(targets[rows], minlength=2)) for rows in (fold, *left_out)]
        ranked[fold] = pairs[0] > sum(pairs[1:])
    return "roc_auc_within" if min(ranked[targets == c].mean() for c in range(2)) >= 0.5 else "balanced_accuracy"


def auc(positive: Array, scores: Array, groups: Array, folds: Array) -> float:
    """Compute ROC-AUC over the pairs of a positive and a negative video of one fold and of different groups.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Float of (videos,); higher means more likely positive.
        groups: The group of each video, int of (videos,).
        folds: The fold that tested each video, int of (videos,).

    Returns:
        In [0, 1]; NaN if there is no such pair.
    """
    right, pairs = 0.0, 0

    def add(rows: Array, sign: int) -> None:
        nonlocal right, pairs
        number = sign * int(positive[rows].sum() * (~positive[rows]).sum())
        right, pairs = right + number * np.nan_to_num(ranking(positive[rows], scores[rows])[0]), pairs + number

    for fold, left_out in _folds(positive, groups, folds):
        add(fold, 1)
        for rows in left_out:
            add(rows, -1)
    return right / pairs if pairs else np.nan


def resampled(positive: Array, scores: Array, groups: Array, folds: Array, counts: Array) -> Array:
    """Compute `auc` on every resample; a group drawn twice is one group, whose pairs are left out.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Float of (videos,); higher means more likely positive.
        groups: The group of each video, an index into the columns of `counts`, int of (videos,).
        folds: The fold that tested each video, int of (videos,).
        counts: Weight of each group, float or int of (resamples, groups), such as the result of `intervals.draw`.

    Returns:
        Float of (resamples,); NaN where no such pair was drawn.
    """
    right, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for fold, left_out in _folds(positive, groups, folds):
        names, own = np.unique(groups[fold], return_inverse=True)
        drawn, side = counts[:, names].astype(float), positive[fold]
        number = np.prod([drawn @ np.bincount(own[part], minlength=len(names)) for part in (side, ~side)], axis=0)
        right += np.nan_to_num(resampled_ranking(side, scores[fold], own, drawn)[0]) * number
        pairs += number
        for rows in left_out:
            weight = counts[:, groups[rows[0]]] ** 2 * (positive[rows].sum() * (~positive[rows]).sum())
            right -= ranking(positive[rows], scores[rows])[0] * weight
            pairs -= weight
    return np.asarray(np.divide(right, pairs, out=np.full(len(counts), np.nan), where=pairs > 0.1))


def smoothed(positive: Array, scores: Array, groups: Array, folds: Array, counts: Array) -> Array:
    """Compute draws whose spread is the standard error of `auc`; arguments as for `resampled`.

    Half of each draw's change of weights is made, and its effect doubled. A pair has the product of two weights, and
    with few groups in a fold the products of whole draws spread too far: intervals of 23 groups held 98 to 99 %.

    Returns:
        Float of (resamples,), possibly outside of [0, 1]; NaN if there is no pair at all.
    """
    value = auc(positive, scores, groups, folds)
    return value + 2 * (resampled(positive, scores, groups, folds, (1 + counts) / 2) - value)


def _folds(positive: Array, groups: Array, folds: Array) -> Iterator[tuple[Array, list[Array]]]:
    """Yield the rows of each fold of both classes, and of each of its groups whose own pairs are left out."""
    alone = len(np.unique(folds)) == len(np.unique(groups))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        if len(np.unique(positive[rows])) == 2:
            mixed = np.intersect1d(groups[rows[positive[rows]]], groups[rows[~positive[rows]]])
            yield rows, [] if alone else [rows[groups[rows] == group] for group in mixed]
