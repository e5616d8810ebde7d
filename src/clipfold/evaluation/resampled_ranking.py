"""Rank videos on every draw of groups: ROC-AUC, average precision and equal error rate."""

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
        counts: Result of `intervals.draw`, int of (resamples, groups).

    Returns:
        Each float of (resamples,); NaN if all or none of the drawn videos are positive.
    """
    where = metrics.steps(positive, scores)
    above, below = (np.flatnonzero(side)[np.argsort(where[side], kind="stable")] for side in (positive, ~positive))
    rows, row = np.unique(where[below], return_inverse=True)
    if few := len(rows) * counts.shape[1] < _PRODUCT * len(scores):  # then one row for all negatives of a step
        negatives = np.zeros((len(rows), counts.shape[1]))
        np.add.at(negatives, (row, groups[below]), 1)
    # The number of positives, and of rows of negatives, down to each step that has videos.
    ends = np.r_[-1, np.flatnonzero(np.bincount(where))]
    reached = np.searchsorted(where[above], ends, side="right")
    passed = np.searchsorted(rows if few else where[below], ends, side="right")
    auc, precision, eer = (np.full(len(counts), np.nan) for _ in range(3))
    step = max(1, _AT_ONCE // (len(ends) if few else len(scores)))
    for part in (slice(first, first + step) for first in range(0, len(counts), step)):
        by_group = np.ascontiguousarray(counts[part].T, np.float64)  # resamples last, to gather and add whole rows
        hits = _cumulative(by_group[groups[above]])[reached]
        misses = _cumulative(negatives @ by_group if few else by_group[groups[below]])[passed]
        total, pairs, gained = hits[-1], hits[-1] * misses[-1], np.diff(hits, axis=0)
        lost = np.einsum("sr,sr->r", gained, misses[1:] + misses[:-1]) / 2
        share = hits[1:] / np.maximum(hits[1:] + misses[1:], 1)
        np.divide(pairs - lost, pairs, out=auc[part], where=pairs > 0)
        np.divide(np.einsum("sr,sr->r", gained, share), total, out=precision[part], where=pairs > 0)
        eer[part] = np.where(pairs > 0, _equal_error(hits, misses), np.nan)
    return auc, precision, eer


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
