"""Rank the videos of each fold among themselves: the headline for two classes.

ROC-AUC of all folds' scores together also compares videos that different models scored. Of a model that knows nothing
it is below 0.5, because a fold that tests many positives leaves few for training (Parker, Guenter & Bedo 2007; Airola
et al. 2011). Pairs of one group are left out too: its videos share what makes a group, so they do not show how new
groups are ranked, and a fold of few groups has many of them. Where each fold is a group, there are no other pairs.
"""

from collections.abc import Iterator

import numpy as np

from clipfold.evaluation.metrics import ranking
from clipfold.evaluation.resampled_ranking import roc_auc
from clipfold.storage.files import Array

_AT_ONCE = 10_000  # groups


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
    for fold, mixed in _folds(targets == 1, groups, folds):
        within = np.prod(_of_groups(targets[fold] == 1, groups[fold], mixed), axis=0).sum()
        ranked[fold] = np.prod(np.bincount(targets[fold], minlength=2)) > within
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
    for fold, mixed in _folds(positive, groups, folds):
        number = int(positive[fold].sum() * (~positive[fold]).sum())
        within, numbers = _within_groups(positive[fold], scores[fold], groups[fold], mixed)
        right += number * float(np.nan_to_num(ranking(positive[fold], scores[fold])[0])) - float(within.sum())
        pairs += number - int(numbers.sum())
    return right / pairs if pairs else np.nan


def resampled(positive: Array, scores: Array, groups: Array, folds: Array, counts: Array) -> Array:
    """Compute `auc` on every resample; a group drawn twice is one group, whose pairs are left out.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Float of (videos,); higher means more likely positive.
        groups: The group of each video, an index into the columns of `counts`, int of (videos,).
        folds: The fold that tested each video, int of (videos,).
        counts: Weight of each group, (resamples, groups), such as the result of `intervals.draw`.

    Returns:
        Float of (resamples,); NaN where no such pair was drawn.
    """
    right, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for fold, mixed in _folds(positive, groups, folds):
        names, own = np.unique(groups[fold], return_inverse=True)
        drawn, side = counts.T[names].T, positive[fold]
        number = np.prod([drawn @ np.bincount(own[part], minlength=len(names)) for part in (side, ~side)], axis=0)
        right += np.nan_to_num(roc_auc(side, scores[fold], own, drawn)) * number
        pairs += number
        within, numbers = _within_groups(side, scores[fold], groups[fold], mixed)
        for some in range(0, len(mixed), _AT_ONCE):
            part = slice(some, some + _AT_ONCE)
            weight = counts.T[mixed[part]].T ** 2.0
            right -= weight @ within[part]
            pairs -= weight @ numbers[part]
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


def _folds(positive: Array, groups: Array, folds: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the rows of each fold of both classes, and those of its groups whose own pairs are left out, ascending."""
    alone = len(np.unique(folds)) == len(np.unique(groups))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        if len(np.unique(positive[rows])) == 2:
            mixed = np.intersect1d(groups[rows[positive[rows]]], groups[rows[~positive[rows]]])
            yield rows, mixed[:0] if alone else mixed


def _of_groups(positive: Array, groups: Array, mixed: Array) -> tuple[Array, Array]:
    """Count the positive and the negative videos of some groups, each int of (groups,)."""
    inside = np.isin(groups, mixed)
    ours, theirs = (np.searchsorted(mixed, groups[inside & side]) for side in (positive, ~positive))
    return np.bincount(ours, minlength=len(mixed)), np.bincount(theirs, minlength=len(mixed))


def _within_groups(positive: Array, scores: Array, groups: Array, mixed: Array) -> tuple[Array, Array]:
    """Count the pairs of each of some groups that are ranked right, ties as half, and all; each of (groups,)."""
    inside = np.flatnonzero(np.isin(groups, mixed))
    order = inside[np.lexsort((scores[inside], groups[inside]))]
    place, score, side = np.searchsorted(mixed, groups[order]), scores[order], positive[order]
    below = np.cumsum(np.append(0, ~side))  # negatives before each video
    first = np.searchsorted(place, np.arange(len(mixed)))
    level = np.append(True, (np.diff(place) != 0) | (np.diff(score) != 0))[: len(order)]
    start, number = np.flatnonzero(level), np.cumsum(level) - 1  # of the videos of a group with one score
    lower, upper = below[start], below[np.append(start[1:], len(order))]
    wins = (lower + upper)[number] / 2 - below[first][place]
    right = np.bincount(place[side], wins[side], len(mixed))
    return right, np.prod(_of_groups(positive, groups, mixed), axis=0)
