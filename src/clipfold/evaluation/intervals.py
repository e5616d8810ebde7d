"""How far metrics could be off by chance: a bootstrap over groups.

Videos of one group (a recording, a person, a place) resemble each other, so that they are fewer independent
observations than there are videos. Hence whole groups are drawn with replacement (Efron & Tibshirani 1993, ch. 8; for
clustered data Field & Welsh 2007). All models are scored on the same draws, which makes their differences paired. The
intervals say how the result would vary with other test groups; the chance in training is not in them.

The draws give the standard error, and the interval is Student's around the value, on a scale without bounds
(`benchmarks/coverage.py` has the figures): percentiles of the draws themselves cover 95 % only from some hundred groups
on, and far less where a metric comes near its bound.
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from clipfold.evaluation.metrics import BINS, bins, bounds, confidence, positives
from clipfold.storage.files import Array

RESAMPLES = 1000
LEVEL = 0.95
_NO_SPREAD = 1e-12  # what is below is rounding
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


def degrees_of_freedom(targets: Array, groups: Array) -> float:
    """How many independent observations stand behind a metric, less those that its mean takes.

    Groups of unequal size count as fewer equal ones (Kish 1965; for standard errors Carter, Schnepel & Steigerwald
    2017). Few groups of one class make the metric uncertain, however many there are of the others; classes come
    together as variances do (Welch 1947; Satterthwaite 1946).

    Args:
        targets: class indices, int of (videos,).
        groups: the group of each video, int of (videos,).

    Returns:
        At least 1, at most the number of groups less 1.
    """
    each = np.array([_effective(groups[targets == c]) for c in np.unique(targets)])
    spread = 1 / each**2 / np.maximum(each - 1, 1e-9)
    return float(max(1, min(_effective(groups) - 1, (1 / each).sum() ** 2 / spread.sum())))


def _effective(groups: Array) -> float:
    """Number of groups of equal size that are worth as much as these."""
    sizes = np.bincount(groups)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def standard_error(resamples: Array, groups: int) -> float:
    """Spread of resampled values; NaN, which undefined resamples have, does not count.

    Draws of n groups vary less than n groups do, by (n - 1) / n in variance.
    """
    defined = resamples[~np.isnan(resamples)]
    return float(np.std(defined, ddof=1) * np.sqrt(groups / (groups - 1))) if len(defined) > 1 < groups else np.nan


def interval(value: float, error: float, degrees: float, ends: tuple[float, float] = (0, 1)) -> tuple[float, float]:
    """Bounds of the 95 % interval of a metric: Student's on the logit scale, or the logarithm's for an open end.

    A metric at its very bound has no spread. There the interval is that of no event in as many groups as count (Clopper
    & Pearson 1934), as if each group could be off by the whole range.

    Args:
        value: of the metric.
        error: its standard error.
        degrees: of freedom.
        ends: least and greatest possible value; the greatest may be infinite.

    Returns:
        Within `ends`; NaN where the value or its error is not defined.
    """
    low, high = ends
    if np.isnan(value) or np.isnan(error):
        return np.nan, np.nan
    width = float(student.ppf((1 + LEVEL) / 2, degrees)) * error
    if np.isinf(high):
        factor = float(np.exp(min(width / (value - low), 700))) if value > low else 1.0
        return low + (value - low) / factor, low + (value - low) * factor
    share = (value - low) / (high - low)
    unseen = _unseen(degrees)
    if share <= 0 or share >= 1:
        found = (0.0, unseen) if share <= 0 else (1 - unseen, 1.0)
    else:
        width /= (high - low) * share * (1 - share)
        found = (float(expit(logit(share) - width)), float(expit(logit(share) + width)))
    return low + (high - low) * found[0], low + (high - low) * found[1]


def _unseen(degrees: float) -> float:
    """How frequent what never happened in that many groups, and one, may still be: upper end of the 95 % interval."""
    return float(1 - ((1 - LEVEL) / 2) ** (1 / (degrees + 1)))


def interval_of(
    metric: str, value: float, resamples: Array, groups: int, degrees: float, classes: int
) -> tuple[float, float]:
    """Bounds of the 95 % interval of any metric.

    The calibration error of few videos is above that of many, for chance makes gaps; draws add as much again. So it is
    corrected for their excess: below as if all gaps were chance (then the excess of the value is 1 + sqrt(2) times that
    of the draws), above as if the draws told all.

    Args:
        metric: its name.
        value: of the metric.
        resamples: the metric on every draw, float of (resamples,).
        groups: how many there are.
        degrees: of freedom.
        classes: how many there are.
    """
    error = standard_error(resamples, groups)
    if metric != "ece" or np.isnan(error):
        return interval(value, error, degrees, bounds(metric, classes))
    excess = max(0.0, float(np.nanmean(resamples)) - value)
    width = float(student.ppf((1 + LEVEL) / 2, degrees)) * error
    return max(0.0, value - (1 + np.sqrt(2)) * excess - width), min(1.0, max(value, value - excess + width))


def difference(value: float, error: float, degrees: float) -> tuple[float, float, float]:
    """Bounds of the 95 % interval of a difference, and the probability of one as large where there is none.

    A difference that no draw changes, as between a perfect model and one that says the same of every video, has no
    spread. Its interval is that of no event in as many groups as count, see `interval`; its p is that bound solved for
    the difference, and no less than that of as many coins that fall alike.

    Args:
        value: the difference, at most 1 in size.
        error: its standard error; 0 where no draw changes it.
        degrees: of freedom.
    """
    if np.isnan(value) or np.isnan(error):
        return np.nan, np.nan, np.nan
    if error > _NO_SPREAD:
        width = float(student.ppf((1 + LEVEL) / 2, degrees)) * error
        return value - width, value + width, 2 * float(student.sf(abs(value) / error, degrees))
    if abs(value) <= _NO_SPREAD:
        return value, value, 1.0
    unseen = _unseen(degrees)
    p = min(1, 2 * max(1 - abs(value), 0.5) ** (degrees + 1))
    return max(-1, value - unseen), min(1, value + unseen), p


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
    decided, by_class = decisions(targets, probabilities.argmax(axis=1), groups, counts, probabilities.shape[1])
    ranked = [ranking(targets == c, probabilities[:, c], groups, counts) for c in range(probabilities.shape[1])]
    names = ("roc_auc", "average_precision", "eer")
    chosen = np.mean([ranked[c] for c in positives(len(ranked))], axis=0)
    overall = decided | dict(zip(names, chosen, strict=True)) | sums(targets, probabilities, groups, counts)
    return overall, [own | {"roc_auc": ranked[c][0]} for c, own in enumerate(by_class)]


def decisions(
    targets: Array, predicted: Array, groups: Array, counts: Array, classes: int
) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    """Compute `metrics.decisions` on every resample; as in `resampled`."""
    by_group = np.zeros((counts.shape[1], classes, classes))
    np.add.at(by_group, (groups, targets, predicted), 1)
    confusion = np.tensordot(counts, by_group, axes=1)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    support, given, total = confusion.sum(axis=2), confusion.sum(axis=1), confusion.sum(axis=(1, 2))
    present = np.where(support > 0, support, np.nan)
    each = {
        "precision": hits / np.maximum(given, 1) + 0 * present,
        "recall": hits / present,
        "f1": 2 * hits / (present + given),
    }
    precision, recall, f1 = (np.nanmean(values, axis=1) for values in each.values())
    agreement = hits.sum(axis=1) * total - (support * given).sum(axis=1)
    spread = (total**2 - (support**2).sum(axis=1)) * (total**2 - (given**2).sum(axis=1))
    overall = {
        "accuracy": hits.sum(axis=1) / total,
        "balanced_accuracy": recall,
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "mcc": np.where(spread > 0, agreement / np.sqrt(np.maximum(spread, 1)), 0),
    }
    return overall, [{name: values[:, c] for name, values in each.items()} for c in range(classes)]


def sums(targets: Array, probabilities: Array, groups: Array, counts: Array) -> dict[str, Array]:
    """Compute log-loss, Brier score and calibration error, which are sums over videos, on every resample."""
    classes = probabilities.shape[1]
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    own = exact[np.arange(len(targets)), targets]
    squares = ((exact - np.eye(classes)[targets]) ** 2).sum(axis=1) / (2 if classes == 2 else 1)
    terms = np.column_stack([-np.log(np.maximum(own, np.finfo(float).eps)), squares, np.ones(len(targets))])
    by_group, gaps = np.zeros((counts.shape[1], terms.shape[1])), np.zeros((counts.shape[1], BINS))
    np.add.at(by_group, groups, terms)
    values, hits = confidence(targets, probabilities)
    np.add.at(gaps, (groups, bins(values)), values - hits)
    log_loss, brier, videos = (counts @ by_group).T
    ece = np.abs(counts @ gaps).sum(axis=1)
    return {"log_loss": log_loss / videos, "brier": brier / videos, "ece": ece / videos}


def ranking(positive: Array, scores: Array, groups: Array, counts: Array) -> tuple[Array, Array, Array]:
    """ROC-AUC, average precision and equal error rate on every resample, ties counted half as is usual.

    Scores are sorted once; each resample only adds up weights along that order.

    Args:
        positive: bool of (videos,).
        scores: float of (videos,); higher speaks for positive.
        groups: int of (videos,).
        counts: int of (resamples, groups).

    Returns:
        Each float of (resamples,); NaN where all drawn videos are positive, or none is.
    """
    above, below = (np.flatnonzero(side)[np.argsort(-scores[side], kind="stable")] for side in (positive, ~positive))
    # How many on either side are strictly ahead of each positive, and how many are ahead or level.
    ahead = np.searchsorted(-scores[below], -scores[above], side="left")
    level = np.searchsorted(-scores[below], -scores[above], side="right")
    peers = np.searchsorted(-scores[above], -scores[above], side="right")
    # Corners of the ROC curve: how many of either side have one of the scores, or a higher one.
    steps: Array = np.r_[-np.inf, np.unique(-scores)]
    reached = np.searchsorted(-scores[above], steps, side="right")
    passed = np.searchsorted(-scores[below], steps, side="right")
    auc, precision, eer = (np.full(len(counts), np.nan) for _ in range(3))
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
        eer[part] = np.where(pairs > 0, _equal_error(hits, misses, reached, passed), np.nan)
    return auc, precision, eer


def _equal_error(hits: Array, misses: Array, above: Array, below: Array) -> Array:
    """Where the ROC curve, straight between its corners, meets the line of equal errors; float of (resamples,)."""
    positives, negatives = np.maximum(hits[-1], 1), np.maximum(misses[-1], 1)
    excess = misses[below] * positives + hits[above] * negatives  # over the product, false positives less misses + 1
    after = (excess >= positives * negatives).argmax(axis=0)
    before, each = np.maximum(after - 1, 0), np.arange(hits.shape[1])
    gap = positives * negatives - excess[before, each]
    rise = np.maximum(excess[after, each] - excess[before, each], 1)
    first, last = misses[below[before], each], misses[below[after], each]
    return np.asarray((first + (last - first) * gap / rise) / negatives)


def _cumulative(weights: Array) -> Array:
    """Sums of the first 0, 1, 2, ... rows."""
    return np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights, axis=0)])
