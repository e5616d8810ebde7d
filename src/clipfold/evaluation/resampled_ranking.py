"""Rank videos on every draw of groups: ROC-AUC, average precision and equal error rate."""

from collections.abc import Iterator

import numpy as np

from clipfold.evaluation import metrics
from clipfold.storage.files import Array

_PRODUCT = 30  # a product of matrices adds so many times as fast as single rows
_AT_ONCE = 200_000  # weights per block: 1.6 MB, which fits a core's cache


def ranking(positive: Array, scores: Array, groups: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Compute ROC-AUC, average precision and equal error rate on every resample; ties count half, as is usual.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Float of (videos,); higher means more likely positive.
        groups: The group of each video, int of (videos,).
        counts: Result of `intervals.draw`, (resamples, groups).

    Returns:
        Each float of (resamples,); NaN if all or none of the drawn videos are positive.
    """
    where = metrics.steps(positive, scores)
    # The number of positives, and of rows of negatives, down to each step that has videos.
    ends = np.r_[-1, np.flatnonzero(np.bincount(where))]
    above = np.flatnonzero(positive)[np.argsort(where[positive], kind="stable")]
    reached = np.searchsorted(where[above], ends, side="right")
    negatives = _Negatives(where, positive, groups, counts.shape[1])
    passed = np.searchsorted(negatives.steps, ends, side="right")
    auc, precision, eer = (np.full(len(counts), np.nan) for _ in range(3))
    for part, by_group in _parts(counts, len(ends) if negatives.few else len(scores)):
        hits = _cumulative(by_group[groups[above]])[reached]
        misses = negatives.down_to_each(by_group)[passed]
        total, pairs, gained = hits[-1], hits[-1] * misses[-1], np.diff(hits, axis=0)
        lost = np.einsum("sr,sr->r", gained, misses[1:] + misses[:-1]) / 2
        share = hits[1:] / np.maximum(hits[1:] + misses[1:], 1)
        np.divide(pairs - lost, pairs, out=auc[part], where=pairs > 0)
        np.divide(np.einsum("sr,sr->r", gained, share), total, out=precision[part], where=pairs > 0)
        eer[part] = np.where(pairs > 0, _equal_error(hits, misses), np.nan)
    return auc, precision, eer


def roc_auc(positive: Array, scores: Array, groups: Array, counts: Array) -> Array:
    """Compute the first result of `ranking` alone, in less than half of the time; arguments as there."""
    where = metrics.steps(positive, scores)
    above = np.flatnonzero(positive)[np.argsort(where[positive], kind="stable")]
    negatives = _Negatives(where, positive, groups, counts.shape[1])
    higher, tied = (np.searchsorted(negatives.steps, where[above], side=side) for side in ("left", "right"))
    ties, auc = (higher != tied).any(), np.full(len(counts), np.nan)
    for part, by_group in _parts(counts, len(scores)):
        misses, weights = negatives.down_to_each(by_group), by_group[groups[above]]
        pairs, lost = weights.sum(axis=0) * misses[-1], np.einsum("sr,sr->r", weights, misses[higher])
        if ties:
            lost = (lost + np.einsum("sr,sr->r", weights, misses[tied])) / 2
        np.divide(pairs - lost, pairs, out=auc[part], where=pairs > 0)
    return auc


class _Negatives:
    """The negative videos, from the highest score to the lowest.

    Args:
        where: Step of each video, see `metrics.steps`.
        positive: True for positive videos.
        groups: The group of each video.
        number: Number of all groups.

    Attributes:
        steps: The step of each row, a negative; or of each `few` rows, all negatives of a step.
        few: Whether there are so few steps that a row is for all negatives of one.
    """

    def __init__(self, where: Array, positive: Array, groups: Array, number: int) -> None:
        videos = np.flatnonzero(~positive)[np.argsort(where[~positive], kind="stable")]
        self.steps, self._groups = where[videos], groups[videos]
        steps, row = np.unique(self.steps, return_inverse=True)
        self.few = len(steps) * number < _PRODUCT * len(where)
        if self.few:
            self.steps, self._of_groups = steps, np.zeros((len(steps), number))
            np.add.at(self._of_groups, (row, self._groups), 1)

    def down_to_each(self, by_group: Array) -> Array:
        """Count the negatives of the first 0, 1, 2, ... rows, from the weights of the groups, (groups, resamples)."""
        return _cumulative(self._of_groups @ by_group if self.few else by_group[self._groups])


def _parts(counts: Array, rows: int) -> Iterator[tuple[slice, Array]]:
    """Yield resamples as many at once as fit a core's cache, and their weights, (groups, resamples)."""
    step = max(1, _AT_ONCE // rows)
    for first in range(0, len(counts), step):
        part = slice(first, first + step)
        yield part, np.ascontiguousarray(counts[part].T, np.float64)  # resamples last, to gather and add whole rows


def _equal_error(hits: Array, misses: Array) -> Array:
    """Intersect the ROC curve, straight between its corners, with the line of equal errors; float of (resamples,)."""
    positives, negatives = np.maximum(hits[-1], 1), np.maximum(misses[-1], 1)
    each = np.arange(hits.shape[1])

    def excess(at: Array) -> Array:  # divided by the product: false positives - misses + 1
        return np.asarray(misses[at, each] * positives + hits[at, each] * negatives)

    after, last = np.zeros(len(each), int), np.full(len(each), len(hits) - 1)
    while (after < last).any():  # it only grows from step to step: halve the steps that may reach the product first
        middle = (after + last) // 2
        reached = excess(middle) >= positives * negatives
        after, last = np.where(reached, after, np.minimum(middle + 1, last)), np.where(reached, middle, last)
    before = np.maximum(after - 1, 0)
    start, first = excess(before), misses[before, each]
    share = (positives * negatives - start) / np.maximum(excess(after) - start, 1)
    return np.asarray((first + (misses[after, each] - first) * share) / negatives)


def _cumulative(weights: Array) -> Array:
    """Sum the first 0, 1, 2, ... rows."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums
