"""Test whether one number is distributed alike in training and in new videos.

Clips of one recording are not independent, and a test that ignores it calls any new recording drift. So every statistic
is computed on draws of one video of each group, on both sides: the median over the draws, and as p twice the median,
which holds for any dependence between draws (Meinshausen, Meier & Buehlmann 2009).
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import fisher_exact, ks_2samp, wasserstein_distance

from clipfold.storage.files import Array

DRAWS = 25
_CELLS = 10
_EXACT_UP_TO = (30, 10_000)  # videos of the smaller and larger side; above, the asymptotic p is as good, and faster

Draw = tuple[Array, Array]
"""Positions of independent videos, int of (groups,): in training and in the new videos."""


class Move(NamedTuple):
    """How far a number moved from training to new videos.

    Attributes:
        psi: Population stability index, without its bias; at least 0.
        ks: Two-sample Kolmogorov-Smirnov statistic, 0 to 1; a missing value counts as larger than any.
        p: Its p-value, not corrected for the number of tests.
        distance: Mean distance between equal ranks (Wasserstein) of the known values, in their unit.
        missing: Change of the share of missing values.
    """

    psi: float
    ks: float
    p: float
    distance: float
    missing: float


def draw(training: Sequence[str], new: Sequence[str], seed: int = 0) -> list[Draw]:
    """Draw one video of each group several times; once if no group has more.

    Args:
        training: Sorted groups of the training videos.
        new: The same of the new videos.
        seed: Seed for the draws.
    """
    random = np.random.default_rng(seed)
    sides = [np.unique(np.asarray(side), return_index=True, return_counts=True)[1:] for side in (training, new)]
    times = DRAWS if any(sizes.max() > 1 for _, sizes in sides) else 1
    first, second = ([starts + random.integers(sizes) for _ in range(times)] for starts, sizes in sides)
    return list(zip(first, second, strict=True))


def compare(training: Array, new: Array, draws: Sequence[Draw], tolerance: float) -> Move:
    """Compare a number of training and of new videos.

    Args:
        training: Float of (training videos,); NaN where missing.
        new: Float of (new videos,).
        draws: Result of `draw`.
        tolerance: Values this close count as equal where the training videos have few distinct values.
    """
    cuts = _cuts(training, tolerance)
    moves = [_compare(training[first], new[second], cuts) for first, second in draws]
    middle = np.median(np.array(moves), axis=0).tolist()
    return Move(*middle)._replace(p=combine([move.p for move in moves]))


def combine(p: Sequence[float]) -> float:
    """Combine the p-values of draws."""
    return float(min(1, 2 * np.median(p))) if len(p) > 1 else float(p[0])


def more(training: Array, new: Array, draws: Sequence[Draw]) -> float:
    """Test whether more of the new videos are True, by Fisher's exact test; returns one-sided p.

    Args:
        training: bool of (training videos,).
        new: bool of (new videos,).
        draws: Result of `draw`.
    """
    drawn = [(new[second], training[first]) for first, second in draws]
    tables = [np.array([[side.sum(), (~side).sum()] for side in sides]) for sides in drawn]
    return combine([float(fisher_exact(table, alternative="greater").pvalue) for table in tables])


def detectable(training: int, new: int, level: float) -> float:
    """Return the least Kolmogorov-Smirnov statistic with p < `level` for so many videos, at most 1 (Smirnov 1948)."""
    return float(min(1, np.sqrt(-np.log(level / 2) / 2 * (training + new) / (training * new))))


def _compare(training: Array, new: Array, cuts: Array) -> Move:
    missing = float(np.isnan(new).mean() - np.isnan(training).mean())
    known = [side[~np.isnan(side)] for side in (training, new)]
    exact = all(count <= most for count, most in zip(sorted(map(len, (training, new))), _EXACT_UP_TO, strict=True))
    with warnings.catch_warnings():  # where rounding defeats the exact p, SciPy says so and gives the asymptotic one
        warnings.simplefilter("ignore", RuntimeWarning)
        first, second = (np.nan_to_num(side, nan=np.inf) for side in (training, new))
        test = ks_2samp(first, second, method="exact" if exact else "asymp")
    distance = float(wasserstein_distance(*known)) if all(map(len, known)) else 0.0
    return Move(_stability(training, new, cuts), float(test.statistic), float(test.pvalue), distance, missing)


def _cuts(training: Array, tolerance: float) -> Array:
    """Choose the cells of the stability index: deciles, or few distinct values with what lies between and beyond."""
    known = training[~np.isnan(training)]
    distinct = np.unique(known)
    if len(distinct) <= _CELLS:
        return np.sort(np.concatenate([distinct - tolerance, distinct + tolerance]))
    return np.unique(np.quantile(known, np.arange(1, _CELLS) / _CELLS))


def _stability(training: Array, new: Array, cuts: Array) -> float:
    """Compute the population stability index, the sum of (new - training) ln(new / training) over shares of cells.

    Each count is half a video higher, so that an empty cell is not infinitely far. Under equal distributions the index
    is (cells - 1) (1 / training + 1 / new) on average (Yurdakul 2018); this is subtracted.
    """
    # NaN sorts behind all numbers, but is a cell of its own.
    cells = [np.where(np.isnan(side), len(cuts) + 1, np.searchsorted(cuts, side)) for side in (training, new)]
    counts = np.array([np.bincount(cell, minlength=len(cuts) + 2) for cell in cells])
    counts = counts[:, counts.any(axis=0)] + 0.5
    expected, found = counts / counts.sum(axis=1, keepdims=True)
    chance = (counts.shape[1] - 1) * (1 / len(training) + 1 / len(new))
    return float(max(0.0, np.sum((found - expected) * np.log(found / expected)) - chance))
