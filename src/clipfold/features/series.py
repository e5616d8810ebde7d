"""Statistics of a series over time, and of how evenly a quantity is spread."""

import numpy as np

from clipfold.storage.files import Array

TINY = 1e-9


def burstiness(series: Array) -> float:
    """Return (std - mean) / (std + mean), -1 for a steady series, towards 1 for rare bursts (Goh & Barabasi 2008)."""
    mean, deviation = float(series.mean()), float(series.std())
    return (deviation - mean) / (deviation + mean + TINY)


def autocorrelation(series: Array) -> Array:
    """Return the correlation of a series with itself at each lag, 1 at lag 0; zeros for a constant series."""
    centred = series - series.mean()
    energy = float((centred**2).sum())
    if energy < TINY:
        return np.zeros(len(series))
    return np.array([(centred[: len(centred) - lag] * centred[lag:]).sum() for lag in range(len(centred))]) / energy


def periodicity(series: Array) -> float:
    """Return the highest later peak of the autocorrelation, up to half the series (as Cutler & Davis 2000); else 0."""
    lags = autocorrelation(series)[: len(series) // 2 + 1]
    peaks = [lags[i] for i in range(2, len(lags) - 1) if lags[i - 1] < lags[i] >= lags[i + 1]]
    return float(max(peaks, default=0.0))


def gini(values: Array) -> float:
    """Return the Gini coefficient: 0 if all values are equal, towards 1 if a few have everything; 0 for zeros."""
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    total = float(ordered.sum())
    if total < TINY:
        return 0.0
    rank = np.arange(1, len(ordered) + 1)
    return float(((2 * rank - len(ordered) - 1) * ordered).sum()) / (len(ordered) * total)


def entropy(weights: Array) -> float:
    """Return the entropy of a histogram as a share of the largest possible, 0 to 1; 0 for an empty one."""
    share = np.asarray(weights, np.float64) / (float(np.sum(weights)) + TINY)
    return float(-(share * np.log(share + TINY)).sum() / np.log(len(share)))


def longest_run(flags: Array) -> int:
    """Count the flags of the longest run of true ones."""
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest
