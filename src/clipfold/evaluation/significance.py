"""Test whether two models differ beyond chance on the same videos.

Videos of one group are not independent. The bootstrap over groups and the sign-flip test account for that. The tests of
DeLong and McNemar, common in the literature, assume independent videos and report too many differences where groups
matter (`benchmarks/coverage.py` measures it). They are included for comparison.
"""

import numpy as np
from scipy.stats import binom, norm, rankdata
from scipy.stats import t as student

from clipfold.storage.files import Array

LEVEL = 0.05
FLIPS = 9999
_AT_ONCE = 1000
_SIGNS, _SIGNS_AT_ONCE = 500_000_000, 20_000_000  # of all groups, in all sets and in those drawn at once


def holm(p: Array) -> Array:
    """Correct p-values for the number of tests, controlling the family-wise error rate (Holm 1979).

    Args:
        p: Float of (tests,); NaN, a test that could not be made, counts as 1.

    Returns:
        Float of (tests,), at least `p`, at most 1.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.where(np.isnan(p), 1, p)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def mcnemar(first: Array, second: Array) -> float:
    """Test equal accuracy by McNemar's exact test with mid-p correction (McNemar 1947; Fagerland et al. 2013).

    Args:
        first: True where the first model is right, bool of (videos,).
        second: True where the second model is right, bool of (videos,).

    Returns:
        Two-sided p.
    """
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    fewer, both = min(wins, losses), wins + losses
    return float(min(1, 2 * binom.cdf(fewer, both, 0.5) - binom.pmf(fewer, both, 0.5))) if both else 1.0


def placements(positive: Array, scores: Array) -> Array:
    """Compute placements: the share of the opposite class that each video is ranked correctly against.

    Ties count half (DeLong et al. 1988). Uses midranks, which take no longer than sorting (Sun & Xu 2014).

    Args:
        positive: True for positive videos, bool of (videos,), with both classes present.
        scores: Float of (models, videos); higher means more likely positive.

    Returns:
        Float of (models, videos); the mean over either class is the ROC-AUC.
    """
    found, among = np.empty(scores.shape), rankdata(scores, axis=1)
    for side in (positive, ~positive):
        found[:, side] = (among[:, side] - rankdata(scores[:, side], axis=1)) / (~side).sum()
    found[:, ~positive] = 1 - found[:, ~positive]
    return found


def delong(positive: Array, placed: Array) -> Array:
    """Compute DeLong's covariance of the ROC-AUCs of several models on the same videos.

    Args:
        positive: True for positive videos, bool of (videos,).
        placed: Result of `placements`, float of (models, videos).

    Returns:
        Float of (models, models); NaN if a class has fewer than two videos.
    """
    sides = [placed[:, side] for side in (positive, ~positive)]
    if min(side.shape[1] for side in sides) < 2:
        return np.full((len(placed), len(placed)), np.nan)
    return np.asarray(sum(np.atleast_2d(np.cov(side)) / side.shape[1] for side in sides))


def delong_p(aucs: Array, covariance: Array, first: int, second: int) -> float:
    """Test equal ROC-AUC of two models by DeLong's test; returns the two-sided p.

    Args:
        aucs: ROC-AUC of each model, float of (models,).
        covariance: Result of `delong`.
        first: Index of one model.
        second: Index of the other model.
    """
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    apart = abs(aucs[first] - aucs[second])
    if np.isnan(variance) or variance <= 1e-15:
        return np.nan if np.isnan(variance) else float(apart < 1e-12)
    return float(2 * norm.sf(apart / np.sqrt(variance)))


def corrected_resampled_t(differences: Array, ratio: float) -> float:
    """Test a difference by the t-test over folds, corrected for overlapping training splits (Nadeau & Bengio 2003).

    Args:
        differences: Metric differences between two models, float of (folds,); NaN, an undefined fold, is ignored.
        ratio: Test videos per training video.

    Returns:
        Two-sided p; NaN for fewer than two folds.
    """
    defined = differences[~np.isnan(differences)]
    if len(defined) < 2:
        return np.nan
    error = np.sqrt((1 / len(defined) + ratio) * defined.var(ddof=1))
    mean = abs(defined.mean())
    return float(2 * student.sf(mean / error, len(defined) - 1)) if error > 1e-12 else float(mean < 1e-12)


def sign_flip(contributions: Array, seed: int, flips: int | None = None) -> tuple[Array, Array]:
    """Test whether sums over groups are 0 by giving each group's contribution a random sign (Fisher 1935).

    Valid for groups of any size and any dependence within groups; for scores with unequal variances see Hemerik, Goeman
    & Finos (2020).

    Args:
        contributions: Float of (groups, tests).
        seed: Seed for the random signs, which all tests share.
        flips: Number of random sets of signs; None: 9,999, fewer for more than 50,000 groups, for time.

    Returns:
        Two-sided p, and one-sided p for a positive sum; both float of (tests,).
    """
    random = np.random.default_rng(seed)
    sums, slack = contributions.sum(axis=0), 1e-9 * np.abs(contributions).sum(axis=0)
    apart, above = np.ones(len(sums)), np.ones(len(sums))  # the observed signs count as one set
    groups = max(1, len(contributions))
    flips = flips or min(FLIPS, max(_AT_ONCE, _SIGNS // groups))
    step = min(_AT_ONCE, max(1, _SIGNS_AT_ONCE // groups))
    for first in range(0, flips, step):
        kept = random.integers(0, 2, (min(step, flips - first), len(contributions)))
        flipped = 2 * (kept @ contributions) - sums
        apart += (np.abs(flipped) >= np.abs(sums) - slack).sum(axis=0)
        above += (flipped >= sums - slack).sum(axis=0)
    return apart / (flips + 1), above / (flips + 1)
