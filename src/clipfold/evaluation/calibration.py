"""Choose thresholds on predictions that no fit learned from, and measure calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit

from clipfold.evaluation.intervals import degrees_of_freedom, difference, interval, interval_of, standard_error, sums
from clipfold.evaluation.metrics import bins, confidence, of_probabilities
from clipfold.evaluation.temperature import Calibration
from clipfold.storage.files import Array

METRICS = ("log_loss", "brier", "ece")
SCHEMA = pa.schema(
    {
        "model": pa.string(),
        "metric": pa.string(),  # one of `METRICS`
        "before": pa.float64(),  # as predicted by the model
        "before_low": pa.float64(),
        "before_high": pa.float64(),
        "after": pa.float64(),  # calibrated by each fold's choices
        "after_low": pa.float64(),
        "after_high": pa.float64(),
        "difference": pa.float64(),  # after minus before: negative is better
        "difference_low": pa.float64(),
        "difference_high": pa.float64(),
        "leakage": pa.string(),  # the leaks allowed, `mark` of audit.json; "" if none
    }
)
BINS = pa.schema(
    {
        "model": pa.string(),
        "scaled": pa.bool_(),  # calibrated by each fold's choices
        "predictions": pa.int64(),
        "probability": pa.float64(),  # mean predicted probability in the bin
        "frequency": pa.float64(),  # observed frequency of the class in the bin
        "low": pa.float64(),
        "high": pa.float64(),
        "leakage": pa.string(),
    }
)

RELIABILITY_BINS = 10


def choose_threshold(positive: Array, scores: Array, expected: float = 0.5, groups: int | None = None) -> float:
    """Choose the threshold with the highest balanced accuracy; scores above it are called positive.

    The best one of few groups is best by chance: it has a normal prior around the expected one, on logits with standard
    deviation 1, against which each group counts as one observation, as in `temperature.fit_calibration`.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Probability of the positive class, float of (videos,).
        expected: What the threshold would be if scores were calibrated as `expected_threshold` says, in (0, 1).
        groups: Number of groups that the videos are from; None: as many as videos.

    Returns:
        The midpoint between two scores, or `expected`. 0.5 if all or no videos are positive.
    """
    if positive.all() or not positive.any():
        return 0.5
    levels = np.unique(scores)
    thresholds = np.r_[expected, levels[0] / 2, (levels[:-1] + levels[1:]) / 2, (levels[-1] + 1) / 2]
    hits = 1 - np.searchsorted(np.sort(scores[positive]), thresholds, side="right") / positive.sum()
    rejections = np.searchsorted(np.sort(scores[~positive]), thresholds, side="right") / (~positive).sum()
    ends = np.finfo(float).eps, 1 - np.finfo(float).eps
    away = logit(thresholds.clip(*ends)) - logit(np.clip(expected, *ends))
    gain = (hits + rejections) / 2 * (len(scores) if groups is None else groups)
    return float(thresholds[np.argmax(gain - away**2 / 2)])


def expected_threshold(positive: Array, calibration: Calibration) -> float:
    """Return the score whose calibrated probability is the share of positive videos.

    With calibrated scores, no other threshold has a higher expected balanced accuracy.

    Args:
        positive: True for positive videos, bool of (videos,), some but not all.
        calibration: That of the scores, of two classes, the positive one last.
    """
    odds = logit(positive.mean()) + calibration.bias[0] - calibration.bias[1]
    return float(expit(odds * calibration.temperature))


def decide(probabilities: Array, threshold: Array | float) -> Array:
    """Call a video positive if its probability is above the threshold.

    Args:
        probabilities: Float of (videos, 2).
        threshold: One value for all videos, or float of (videos,).

    Returns:
        Class indices, int64 of (videos,).
    """
    return (probabilities[:, 1] > threshold).astype(np.int64)


def compare(
    targets: Array,
    before: Array,
    after: Array,
    groups: Array,
    repeats: Sequence[Array],
    counts: Array,
    training: float = 0.0,
    chance: Mapping[tuple[str, ...], float] | None = None,
) -> list[dict[str, Any]]:
    """Compare how calibrated probabilities are before and after it.

    Args:
        targets: Class indices, int of (rows,).
        before: Predicted probabilities, float of (rows, classes).
        after: The same probabilities, calibrated.
        groups: The group of each row, an index into the columns of `counts`, int of (rows,).
        repeats: The row indices of each repeat.
        counts: Result of `intervals.draw`.
        training: See `intervals.standard_error`.
        chance: Variance of `values` from chance in training, see `chance.variances`.

    Returns:
        Rows of `SCHEMA` without `model` and `leakage`. With several repeats, metrics are means over repeats.
    """
    number, degrees, classes, vary = counts.shape[1], degrees_of_freedom(targets, groups), before.shape[1], chance or {}
    resamples: dict[tuple[str, str], Array] = {}
    value = values(targets, before, after, repeats)
    for name, given in (("before", before), ("after", after)):
        parts = [sums(targets[rows], given[rows], groups[rows], counts) for rows in repeats]
        resamples |= {(name, metric): np.mean([part[metric] for part in parts], axis=0) for metric in METRICS}
    rows = []
    for metric in METRICS:
        row: dict[str, Any] = {"metric": metric}
        for name in ("before", "after"):
            key = name, metric
            spread = resamples[key], number, degrees, classes, training, vary.get(key, 0.0)
            low, high = interval_of(metric, value[key], *spread)
            row |= {name: value[key], f"{name}_low": low, f"{name}_high": high}
        key = "difference", metric
        draws = resamples["after", metric] - resamples["before", metric]
        low, high, _ = difference(value[key], standard_error(draws, number, training, vary.get(key, 0.0)), degrees)
        rows.append(row | {"difference": value[key], "difference_low": low, "difference_high": high})
    return rows


def values(targets: Array, before: Array, after: Array, repeats: Sequence[Array]) -> dict[tuple[str, str], float]:
    """Compute `METRICS` `before` and `after`, and their `difference`; arguments as for `compare`."""
    found: dict[tuple[str, str], float] = {}
    for name, given in (("before", before), ("after", after)):
        scores = [of_probabilities(targets[rows], given[rows]) for rows in repeats]
        found |= {(name, metric): float(np.mean([score[metric] for score in scores])) for metric in METRICS}
    return found | {("difference", metric): found["after", metric] - found["before", metric] for metric in METRICS}


def reliability(targets: Array, probabilities: Array, groups: Array, counts: Array) -> list[dict[str, Any]]:
    """Compare predicted probabilities with observed frequencies, by bin (Murphy & Winkler 1977).

    Uses the positive class if there are two, the predicted class if there are more.

    Args:
        targets: Class indices, int of (rows,).
        probabilities: Float of (rows, classes).
        groups: The group of each row, an index into the columns of `counts`, int of (rows,).
        counts: Result of `intervals.draw`.

    Returns:
        Rows of `BINS` without `model`, `scaled` and `leakage`, in increasing order; empty bins are omitted.
    """
    values, hits = confidence(targets, probabilities)
    found, place = np.unique(bins(values, RELIABILITY_BINS), return_inverse=True)
    right, total = np.zeros((2, counts.shape[1], len(found)))
    np.add.at(right, (groups, place), hits)
    np.add.at(total, (groups, place), 1)
    right, total = counts @ right, counts @ total
    rows = []
    for each in range(len(found)):
        inside = place == each
        draws = np.divide(right[:, each], total[:, each], out=np.full(len(counts), np.nan), where=total[:, each] > 0)
        frequency, number = float(hits[inside].mean()), len(np.unique(groups[inside]))
        degrees = degrees_of_freedom(np.zeros(inside.sum(), int), groups[inside])
        low, high = interval(frequency, standard_error(draws, number), degrees)
        row = {"predictions": int(inside.sum()), "probability": float(values[inside].mean())}
        rows.append(row | {"frequency": frequency, "low": low, "high": high})
    return rows
