"""Compute confidence intervals of metrics by a bootstrap over groups.

Videos of one group (a recording, a person, a place) resemble each other, so there are fewer independent observations
than videos. The bootstrap therefore resamples whole groups with replacement (Efron & Tibshirani 1993, ch. 8; for
clustered data Field & Welsh 2007). All models are scored on the same draws, which makes their differences paired.

A bootstrap of predictions covers variation between test groups. Other training groups would have given another model,
and folds share most of theirs, so that averaging over folds does not remove it (Nadeau & Bengio 2003). `training` adds
this part to the variance.

The draws give the standard error; the interval is Student's t around the value, on an unbounded scale. Percentiles of
the draws reach 95 % coverage only from about a hundred groups, and far less where a metric is near its bound
(`benchmarks/coverage.py` measures it).
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from clipfold.evaluation import metrics
from clipfold.evaluation.resampled_ranking import ranking, roc_auc
from clipfold.storage.files import Array

RESAMPLES, _LEAST = 1000, 100
_COUNTS = 50_000_000  # of all groups on all draws: 400 MB
LEVEL = 0.95
TRAINING = 0.4
"""Variance from training, as a share of that from testing, with as many videos of each."""
_NO_SPREAD = 1e-12  # anything below is rounding


def resamples_of(groups: int) -> int:
    """Return the number of draws: 1,000, fewer where they would not fit into memory, which takes 50,000 groups.

    >>> resamples_of(23), resamples_of(250_000), resamples_of(1_000_000)
    (1000, 200, 100)
    """
    return max(_LEAST, min(RESAMPLES, _COUNTS // groups))


def draw(groups: int, seed: int, resamples: int | None = None) -> Array:
    """Draw bootstrap resamples of the groups.

    Args:
        groups: Number of groups; each resample has as many.
        seed: Seed for the random draws.
        resamples: Number of resamples; None: `resamples_of`.

    Returns:
        Number of times each group was drawn, float64 of (resamples, groups), whose columns are contiguous; rows sum to
        `groups`.
    """
    size = resamples or resamples_of(groups)
    counts = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=size)
    return np.asfortranarray(counts, np.float64)  # as products and gathering need them: not converted for each


def degrees_of_freedom(targets: Array, groups: Array) -> float:
    """Estimate the degrees of freedom of a metric from the groups of each class.

    Groups of unequal size count as fewer groups of equal size (Kish 1965; for standard errors Carter, Schnepel &
    Steigerwald 2017). Few groups of one class make the metric uncertain, regardless of the other classes; classes
    combine as variances do (Welch 1947; Satterthwaite 1946).

    A class with a single group shows no spread. Among more than two classes, such classes are pooled, with the class of
    fewest groups if there is only one: "collapsed strata" (Cochran 1977, ch. 5A.12; Rust & Kalton 1987). Of two classes
    neither can stand in for the other.

    Args:
        targets: Class indices, int of (videos,).
        groups: The group of each video, int of (videos,).

    Returns:
        At least 1, at most the number of groups minus 1.
    """
    each = np.array([_effective(groups[targets == c]) for c in np.unique(targets)])
    alone = int((each == 1).sum())
    pooled = np.argsort(each)[: max(2, alone) if alone and len(each) > 2 else 0]
    rest = np.delete(each, pooled)
    spread = (1 / rest**2 / np.maximum(rest - 1, 1e-9)).sum()
    if len(pooled):
        spread += (1 / each[pooled]).sum() ** 2 / (each[pooled].sum() - 1)
    return float(max(1, min(_effective(groups) - 1, (1 / each).sum() ** 2 / spread)))


def _effective(groups: Array) -> float:
    """Compute the equivalent number of groups of equal size."""
    sizes = np.bincount(groups)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def training(videos_tested: float, videos_trained: float) -> float:
    """Return the variance from training as a share of that from testing; both fall with the number of videos.

    Nadeau & Bengio (2003) add the same term, of the videos of one fold, to the variance between folds. Here it is added
    to that of all folds' tests together; `benchmarks/coverage.py` shows for whole pipelines what intervals it leads to.

    Args:
        videos_tested: Number of videos that all folds of a repeat test.
        videos_trained: Number of videos that a fold trains on.
    """
    return TRAINING * videos_tested / max(1.0, videos_trained)


def standard_error(resamples: Array, groups: int, training: float = 0.0, chance: float = 0.0) -> float:
    """Compute the standard error from resampled values, ignoring undefined ones (NaN).

    Corrects the bootstrap variance of n groups, which is too small by the factor (n - 1) / n.

    Args:
        resamples: The metric on every draw, float of (resamples,).
        groups: Number of groups.
        training: Result of `training`; 0 for a given model, whose training does not vary.
        chance: Variance from chance in training, see `chance.variances`; of a difference, that of both models.
    """
    defined = resamples[~np.isnan(resamples)]
    if len(defined) < 2 or groups < 2:
        return np.nan
    error = np.std(defined, ddof=1) * np.sqrt(groups / (groups - 1) * (1 + training))
    return float(np.hypot(error, np.sqrt(chance)))


def interval(value: float, error: float, degrees: float, ends: tuple[float, float] = (0, 1)) -> tuple[float, float]:
    """Compute the 95 % interval of a metric: Student's t on the logit scale, or the log scale if unbounded above.

    A metric exactly at its bound has no spread. Its interval is then the Clopper-Pearson interval (1934) of no event in
    the effective number of groups, as if each group could be off by the whole range.

    Args:
        value: The metric.
        error: Standard error of the metric.
        degrees: Degrees of freedom.
        ends: Lowest and highest possible value; the highest may be infinite.

    Returns:
        Lower and upper bound, within `ends`; NaN if the value or its error is undefined.
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
    """Compute the upper end of the 95 % interval for the rate of an event never observed in `degrees + 1` groups."""
    return float(1 - ((1 - LEVEL) / 2) ** (1 / (degrees + 1)))


def interval_of(
    metric: str,
    value: float,
    resamples: Array,
    groups: int,
    degrees: float,
    classes: int,
    training: float = 0.0,
    chance: float = 0.0,
) -> tuple[float, float]:
    """Compute the 95 % interval of any metric.

    With few videos, chance alone raises the calibration error, and resampling raises it again. Its interval is
    therefore corrected for this excess. The lower bound assumes that all gaps are chance (the excess of the value is
    then 1 + sqrt(2) times that of the draws); the upper bound assumes that the excess of the draws is all there is.

    Args:
        metric: Name of the metric.
        value: The metric.
        resamples: The metric on every draw, float of (resamples,).
        groups: Number of groups.
        degrees: Degrees of freedom.
        classes: Number of classes.
        training: See `standard_error`.
        chance: See `standard_error`.

    Returns:
        Lower and upper bound; NaN if undefined.
    """
    error = standard_error(resamples, groups, training, chance)
    if metric != "ece" or np.isnan(error):
        return interval(value, error, degrees, metrics.bounds(metric, classes))
    excess = max(0.0, float(np.nanmean(resamples)) - value)
    width = float(student.ppf((1 + LEVEL) / 2, degrees)) * error
    return max(0.0, value - (1 + np.sqrt(2)) * excess - width), min(1.0, max(value, value - excess + width))


def difference(value: float, error: float, degrees: float) -> tuple[float, float, float]:
    """Compute the 95 % interval of a difference, and its two-sided p-value.

    A difference that is the same on every draw, such as between a perfect and a constant model, has no spread. Its
    interval is then that of no event in the effective number of groups, see `interval`. Its p-value solves that bound
    for the difference, and is at least that of as many coins all landing on the same side.

    Args:
        value: The difference, in [-1, 1].
        error: Standard error of the difference; 0 if it is the same on every draw.
        degrees: Degrees of freedom.

    Returns:
        Lower bound, upper bound and p; NaN if undefined.
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
    """Compute `metrics.compute` on every resample.

    Args:
        targets: Class indices, int of (videos,).
        probabilities: Float of (videos, classes).
        groups: The group of each video, an index into the columns of `counts`, int of (videos,).
        counts: Result of `draw`.

    Returns:
        Metric -> float of (resamples,), over all classes and per class; without `support`.
    """
    decided, by_class = decisions(targets, probabilities.argmax(axis=1), groups, counts, probabilities.shape[1])
    classes = probabilities.shape[1]
    scored = metrics.positives(classes)
    ranked = {c: ranking(targets == c, probabilities[:, c], groups, counts) for c in scored}
    areas = {c: roc_auc(targets == c, probabilities[:, c], groups, counts) for c in range(classes) if c not in scored}
    areas |= {c: found[0] for c, found in ranked.items()}
    names = ("roc_auc", "average_precision", "eer")
    chosen = metrics.mean_of_defined([*ranked.values()])
    overall = decided | dict(zip(names, chosen, strict=True)) | sums(targets, probabilities, groups, counts)
    return overall, [own | {"roc_auc": areas[c]} for c, own in enumerate(by_class)]


def decisions(
    targets: Array, predicted: Array, groups: Array, counts: Array, classes: int
) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    """Compute `metrics.decisions` on every resample; returns the same form as `resampled`."""
    right = targets == predicted

    def drawn(of_class: Array, of_group: Array) -> Array:
        by_group = np.zeros((counts.shape[1], classes))
        np.add.at(by_group, (of_group, of_class), 1)
        return np.asarray(counts @ by_group)

    hits, support, given = drawn(targets[right], groups[right]), drawn(targets, groups), drawn(predicted, groups)
    total = support.sum(axis=1)
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
    """Compute log-loss, Brier score, calibration error and top-5 accuracy, sums over videos, on every resample."""
    terms = np.column_stack([*metrics.losses(targets, probabilities), np.ones(len(targets))])
    if probabilities.shape[1] > metrics.MANY:
        terms = np.column_stack([terms, metrics.in_top(targets, probabilities)])
    by_group, gaps = np.zeros((counts.shape[1], terms.shape[1])), np.zeros((counts.shape[1], metrics.BINS))
    np.add.at(by_group, groups, terms)
    values, hits = metrics.confidence(targets, probabilities)
    np.add.at(gaps, (groups, metrics.bins(values)), values - hits)
    log_loss, brier, videos, *top = (counts @ by_group).T
    ece = np.abs(counts @ gaps).sum(axis=1)
    found = {"log_loss": log_loss / videos, "brier": brier / videos, "ece": ece / videos}
    return found | ({"top_5_accuracy": top[0] / videos} if top else {})
