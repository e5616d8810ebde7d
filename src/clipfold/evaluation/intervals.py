"""How far metrics could be off by chance: percentile bootstrap over groups.

Videos of one group (a recording, a person, a place) resemble each other, so that they are fewer independent
observations than there are videos. Hence whole groups are drawn with replacement (Efron & Tibshirani 1993, ch. 8; for
clustered data Field & Welsh 2007). All models are scored on the same draws, which makes their differences paired. The
intervals say how the result would vary with other test groups; the chance in training is not in them.
"""

import numpy as np

from clipfold.evaluation.metrics import positives
from clipfold.store import Array

RESAMPLES = 1000
LEVEL = 0.95
_AT_ONCE = 200_000  # weights worked on at a time: 1.6 MB, which a core's cache holds


def draw(groups: int, seed: int, resamples: int = RESAMPLES) -> Array:
    """Draw as many groups as there are, with replacement, again and again.

    Args:
        groups: how many there are.
        seed: of the drawing.
        resamples: how often.

    Returns:
        How often each group was drawn, int64 of (resamples, groups); rows sum to `groups`.
    """
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)


def interval(values: Array) -> tuple[float, float]:
    """Bounds of the central 95 % of resampled values; NaN, which undefined resamples have, does not count."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return np.nan, np.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled(
    targets: Array, probabilities: Array, groups: Array, counts: Array
) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    """Compute `metrics.overall` and `metrics.per_class` on every resample.

    Args:
        targets: class indices, int of (videos,).
        probabilities: float of (videos, classes).
        groups: the group of each video, an index into the columns of `counts`, int of (videos,).
        counts: from `draw`.

    Returns:
        Metric -> float of (resamples,), over all classes and per class; without `support`.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    by_group = np.zeros((counts.shape[1], classes, classes))
    np.add.at(by_group, (groups, targets, predicted), 1)
    by_class = _by_class(np.tensordot(counts, by_group, axes=1))
    ranked = [ranking(targets == c, probabilities[:, c], groups, counts) for c in range(classes)]
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    own = exact[np.arange(len(targets)), targets]
    squares = ((exact - np.eye(classes)[targets]) ** 2).sum(axis=1) / (2 if classes == 2 else 1)
    terms = np.column_stack(
        [predicted == targets, -np.log(np.maximum(own, np.finfo(float).eps)), squares, np.ones(len(targets))]
    )
    sums = np.zeros((counts.shape[1], terms.shape[1]))
    np.add.at(sums, groups, terms)
    hits, log_loss, brier, videos = (counts @ sums).T
    precision, recall, f1 = (np.nanmean(by_class[name], axis=1) for name in ("precision", "recall", "f1"))
    overall = {
        "accuracy": hits / videos,
        "balanced_accuracy": recall,
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "roc_auc": np.mean([ranked[c][0] for c in positives(classes)], axis=0),
        "average_precision": np.mean([ranked[c][1] for c in positives(classes)], axis=0),
        "log_loss": log_loss / videos,
        "brier": brier / videos,
    }
    each = [{name: v[:, c] for name, v in by_class.items()} | {"roc_auc": ranked[c][0]} for c in range(classes)]
    return overall, each


def _by_class(confusion: Array) -> dict[str, Array]:
    """Precision, recall and F1 of (resamples, classes) from confusion matrices; NaN where a class is absent."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    support, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    present = np.where(support > 0, support, np.nan)
    return {
        "precision": hits / np.maximum(predicted, 1) + 0 * present,
        "recall": hits / present,
        "f1": 2 * hits / (present + predicted),
    }


def ranking(positive: Array, scores: Array, groups: Array, counts: Array) -> tuple[Array, Array]:
    """ROC-AUC and average precision on every resample, ties counted half as is usual.

    Scores are sorted once; each resample only adds up weights along that order.

    Args:
        positive: bool of (videos,).
        scores: float of (videos,); higher speaks for positive.
        groups: int of (videos,).
        counts: int of (resamples, groups).

    Returns:
        Both float of (resamples,); NaN where all drawn videos are positive, or none is.
    """
    above, below = (np.flatnonzero(side)[np.argsort(-scores[side], kind="stable")] for side in (positive, ~positive))
    # How many on either side are strictly ahead of each positive, and how many are ahead or level.
    ahead = np.searchsorted(-scores[below], -scores[above], side="left")
    level = np.searchsorted(-scores[below], -scores[above], side="right")
    peers = np.searchsorted(-scores[above], -scores[above], side="right")
    auc, precision = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    step = max(1, _AT_ONCE // len(scores))
    for part in (slice(first, first + step) for first in range(0, len(counts), step)):
        by_group = np.ascontiguousarray(counts[part].T, np.float64)  # resamples last: whole rows are gathered and added
        weights = by_group[groups[above]]
        hits, misses = _cumulative(weights), _cumulative(by_group[groups[below]])
        total, pairs = hits[-1], hits[-1] * misses[-1]
        lost = np.einsum("vr,vr->r", weights, misses[ahead] + misses[level]) / 2
        share = hits[peers] / np.maximum(hits[peers] + misses[level], 1)
        np.divide(pairs - lost, pairs, out=auc[part], where=pairs > 0)
        np.divide(np.einsum("vr,vr->r", weights, share), total, out=precision[part], where=pairs > 0)
    return auc, precision


def _cumulative(weights: Array) -> Array:
    """Sums of the first 0, 1, 2, ... rows."""
    return np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights, axis=0)])
