"""What is chosen on a fold's validation part, the threshold and the temperature, and how true probabilities are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from clipfold.evaluation.intervals import degrees_of_freedom, difference, interval, interval_of, standard_error, sums
from clipfold.evaluation.metrics import bins, confidence, overall
from clipfold.storage.files import Array

METRICS = ("log_loss", "brier", "ece")
SCHEMA = pa.schema(
    {
        "model": pa.string(),
        "metric": pa.string(),  # one of `METRICS`
        "before": pa.float64(),  # as the model predicted
        "before_low": pa.float64(),
        "before_high": pa.float64(),
        "after": pa.float64(),  # at the temperature that each fold's validation part chose
        "after_low": pa.float64(),
        "after_high": pa.float64(),
        "difference": pa.float64(),  # after less before: negative is better
        "difference_low": pa.float64(),
        "difference_high": pa.float64(),
        "leakage": pa.string(),  # which leaks were allowed, `mark` of audit.json; "" without
    }
)
BINS = pa.schema(
    {
        "model": pa.string(),
        "scaled": pa.bool_(),  # at the temperature that each fold's validation part chose
        "predictions": pa.int64(),
        "probability": pa.float64(),  # mean of those predicted, within the bin
        "frequency": pa.float64(),  # how often it was so
        "low": pa.float64(),
        "high": pa.float64(),
        "leakage": pa.string(),
    }
)

RELIABILITY_BINS = 10
TEMPERATURES = (0.1, 10.0)
"""Least and greatest: without bounds, a validation part that a model gets all right would ask for certainty."""


def choose_threshold(positive: Array, scores: Array) -> float:
    """The threshold above which a video is best called positive: that with the highest balanced accuracy.

    Args:
        positive: bool of (videos,).
        scores: probability of the positive class, float of (videos,).

    Returns:
        The middle between two scores; of several such, the nearest to 0.5. 0.5 where all videos are positive, or none.
    """
    if positive.all() or not positive.any():
        return 0.5
    levels = np.unique(scores)
    thresholds = np.r_[levels[0] / 2, (levels[:-1] + levels[1:]) / 2, (levels[-1] + 1) / 2]
    hits = 1 - np.searchsorted(np.sort(scores[positive]), thresholds, side="right") / positive.sum()
    rejections = np.searchsorted(np.sort(scores[~positive]), thresholds, side="right") / (~positive).sum()
    best = np.isclose(hits + rejections, (hits + rejections).max(), rtol=0, atol=1e-12)
    return float(min(thresholds[best], key=lambda threshold: (abs(threshold - 0.5), threshold)))


def decide(probabilities: Array, threshold: Array | float) -> Array:
    """Call a video positive where its probability is above the threshold.

    Args:
        probabilities: float of (videos, 2).
        threshold: one, or float of (videos,).

    Returns:
        Class indices, int64 of (videos,).
    """
    return (probabilities[:, 1] > threshold).astype(np.int64)


def fit_temperature(targets: Array, probabilities: Array) -> float:
    """The one number that logits are best divided by: that with the lowest log-loss (Guo et al. 2017).

    Args:
        targets: class indices, int of (videos,).
        probabilities: float of (videos, classes).

    Returns:
        Within `TEMPERATURES`; above 1 the model was too sure. 1 where there are no videos.
    """
    if not len(targets):
        return 1.0
    (low, high), logits, each = TEMPERATURES, _logits(probabilities), np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[each, targets].mean())

    found = minimize_scalar(loss, bounds=(np.log(low), np.log(high)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def scale(probabilities: Array, temperature: Array | float) -> Array:
    """Divide logits by a temperature.

    Args:
        probabilities: float of (videos, classes).
        temperature: one, or float of (videos,).

    Returns:
        Probabilities, float64 of (videos, classes).
    """
    return np.asarray(softmax(_logits(probabilities) / np.reshape(temperature, (-1, 1)), axis=1))


def _logits(probabilities: Array) -> Array:
    return np.log(np.maximum(probabilities, np.finfo(float).eps))


def compare(
    targets: Array, before: Array, after: Array, groups: Array, repeats: Sequence[Array], counts: Array
) -> list[dict[str, Any]]:
    """Hold the calibration of scaled probabilities against that of the ones they were made from.

    Args:
        targets: class indices, int of (rows,).
        before: probabilities, float of (rows, classes).
        after: the same scaled.
        groups: the group of each row, an index into the columns of `counts`, int of (rows,).
        repeats: the rows of each repeat.
        counts: from `intervals.draw`.

    Returns:
        Rows of `SCHEMA` without `model`. A metric of several repeats is the mean of theirs.
    """
    number, degrees = counts.shape[1], degrees_of_freedom(targets, groups)
    resamples, values = [], []
    for given in (before, after):
        parts = [sums(targets[rows], given[rows], groups[rows], counts) for rows in repeats]
        resamples.append({metric: np.mean([part[metric] for part in parts], axis=0) for metric in METRICS})
        scores = [overall(targets[rows], given[rows]) for rows in repeats]
        values.append({metric: float(np.mean([score[metric] for score in scores])) for metric in METRICS})
    rows = []
    for metric in METRICS:
        row: dict[str, Any] = {"metric": metric}
        for name, value, draws in zip(("before", "after"), values, resamples, strict=True):
            low, high = interval_of(metric, value[metric], draws[metric], number, degrees, before.shape[1])
            row |= {name: value[metric], f"{name}_low": low, f"{name}_high": high}
        apart = values[1][metric] - values[0][metric]
        low, high, _ = difference(apart, standard_error(resamples[1][metric] - resamples[0][metric], number), degrees)
        rows.append(row | {"difference": apart, "difference_low": low, "difference_high": high})
    return rows


def reliability(targets: Array, probabilities: Array, groups: Array, counts: Array) -> list[dict[str, Any]]:
    """How often what was given some probability came true (Murphy & Winkler 1977).

    For two classes that is the positive class, for more the predicted one.

    Args:
        targets: class indices, int of (rows,).
        probabilities: float of (rows, classes).
        groups: the group of each row, an index into the columns of `counts`, int of (rows,).
        counts: from `intervals.draw`.

    Returns:
        Rows of `BINS` without `model` and `scaled`, from 0 up; empty bins are left out.
    """
    values, hits = confidence(targets, probabilities)
    place = bins(values, RELIABILITY_BINS)
    rows = []
    for each in np.unique(place):
        inside = place == each
        by_group = np.zeros((counts.shape[1], 2))
        np.add.at(by_group, groups[inside], np.column_stack([hits[inside], np.ones(inside.sum())]))
        right, total = (counts @ by_group).T
        draws = np.divide(right, total, out=np.full(len(counts), np.nan), where=total > 0)
        frequency, number = float(hits[inside].mean()), len(np.unique(groups[inside]))
        degrees = degrees_of_freedom(np.zeros(inside.sum(), int), groups[inside])
        low, high = interval(frequency, standard_error(draws, number), degrees)
        row = {"predictions": int(inside.sum()), "probability": float(values[inside].mean())}
        rows.append(row | {"frequency": frequency, "low": low, "high": high})
    return rows
