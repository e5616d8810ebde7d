"""Compute the standard metrics of predicted probabilities, by scikit-learn's definitions.

Targets are class indices, int of (videos,); probabilities are floats of (videos, classes) in [0, 1] whose rows sum to
1. Class indices follow the sorted class names. The predicted class is the most probable one. Of two classes, the last
is positive: `real` in `fake, real`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from clipfold.storage.files import Array

BINS = 15  # for the expected calibration error, as in Guo et al. 2017


TOP = 5
MANY = 10
"""With more classes than this, `top_5_accuracy` is computed."""


def positives(classes: int) -> range:
    """List the classes to score against the rest: the positive one of two, or all if there are more."""
    return range(1, 2) if classes == 2 else range(classes)


def mean_of_defined(rows: Sequence[Sequence[Any]]) -> Array:
    """Average over the first axis, without NaN; NaN where all rows are."""
    values = np.asarray(rows)
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=0)
    count = defined.sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def bounds(metric: str, classes: int) -> tuple[float, float]:
    """Return the lowest and the highest possible value of a metric."""
    unusual: Mapping[str, tuple[float, float]] = {
        "mcc": (-1, 1),
        "log_loss": (0, math.inf),
        "brier": (0, 1 if classes == 2 else 2),
    }
    return unusual.get(metric, (0, 1))


def overall(targets: Array, probabilities: Array) -> dict[str, float]:
    """Compute the metrics over all classes, the first result of `compute`."""
    return compute(targets, probabilities)[0]


def compute(targets: Array, probabilities: Array) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Compute all metrics: those of `decisions` at the most probable class, and those of probabilities.

    For more than two classes, ROC-AUC, average precision and the equal error rate are one-vs-rest means. The Brier
    score is in [0, 1] for two classes and in [0, 2] for more, as originally defined (Brier 1950).

    With more than `MANY` classes there is `top_5_accuracy`: the share of videos whose class is among the five most
    probable.

    Args:
        targets: Class indices, int of (videos,).
        probabilities: Float of (videos, classes).

    Returns:
        Metric -> value over all classes, and per class against the rest. Over all classes, `roc_auc`,
        `average_precision` and `eer` cover the classes present in `targets`, as macro averages do, and are NaN if there
        is only one. Per class, `support` is the number of videos; all others are NaN if the class is absent.
    """
    classes = probabilities.shape[1]
    decided, each = decisions(targets, probabilities.argmax(axis=1), classes)
    ranked = [ranking(targets == c, probabilities[:, c]) for c in range(classes)]
    auc, average_precision, eer = mean_of_defined([ranked[c] for c in positives(classes)])
    over_all = (
        decided
        | {"roc_auc": float(auc), "average_precision": float(average_precision), "eer": float(eer)}
        | of_probabilities(targets, probabilities)
        | ({"top_5_accuracy": float(in_top(targets, probabilities).mean())} if classes > MANY else {})
    )
    support = np.bincount(targets, minlength=classes)
    return over_all, [own | {"roc_auc": ranked[c][0], "support": float(support[c])} for c, own in enumerate(each)]


def of_probabilities(targets: Array, probabilities: Array) -> dict[str, float]:
    """Compute `log_loss`, `brier` and `ece`, the metrics that calibration changes; see `compute`."""
    log_loss, brier = (float(each.mean()) for each in losses(targets, probabilities))
    return {"log_loss": log_loss, "brier": brier, "ece": calibration_error(targets, probabilities)}


def losses(targets: Array, probabilities: Array) -> tuple[Array, Array]:
    """Compute the log-loss and the Brier score of each video, each float of (videos,)."""
    # A network's float32 softmax sums to 1 only to seven digits.
    errors = probabilities / probabilities.sum(axis=1, keepdims=True)
    each = np.arange(len(targets))
    log_loss = -np.log(np.maximum(errors[each, targets], np.finfo(float).eps))
    errors[each, targets] -= 1
    return log_loss, (errors**2).sum(axis=1) / (2 if probabilities.shape[1] == 2 else 1)


def decisions(targets: Array, predicted: Array, classes: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Compute the metrics of decisions, which need no probabilities.

    Macro averages cover the classes present in `targets`; a class that is never predicted has precision 0. Balanced
    accuracy equals macro recall (Brodersen et al. 2010). `mcc` is the Matthews correlation coefficient, for more than
    two classes as generalised by Gorodkin (2004), and 0 where undefined.

    Args:
        targets: Class indices, int of (videos,).
        predicted: Class indices, int of (videos,).
        classes: Number of classes.

    Returns:
        Metric -> value over all classes, and per class; NaN for a class absent from `targets`.
    """
    columns = precision_recall_fscore_support(targets, predicted, labels=range(classes), zero_division=0)
    present = columns[3] > 0
    precision, recall, f1 = (np.where(present, column, np.nan) for column in columns[:3])
    overall = {
        "accuracy": float(accuracy_score(targets, predicted)),
        "balanced_accuracy": float(np.nanmean(recall)),
        "macro_precision": float(np.nanmean(precision)),
        "macro_recall": float(np.nanmean(recall)),
        "macro_f1": float(np.nanmean(f1)),
        # With a single class, scikit-learn returns 0 as well, but warns.
        "mcc": float(matthews_corrcoef(targets, predicted)) if np.ptp(np.r_[targets, predicted]) else 0.0,
    }
    each = [{"precision": float(precision[c]), "recall": float(recall[c]), "f1": float(f1[c])} for c in range(classes)]
    return overall, each


def confusion(targets: Array, probabilities: Array) -> Array:
    """Count videos by true class (rows) and predicted class (columns), int64 of (classes, classes)."""
    predicted = probabilities.argmax(axis=1)
    return confusion_matrix(targets, predicted, labels=range(probabilities.shape[1]))  # type: ignore[no-any-return]


def ranking(positive: Array, scores: Array) -> tuple[float, float, float]:
    """Compute ROC-AUC, average precision and the equal error rate.

    The equal error rate is the point of the linearly interpolated ROC curve where the false positive rate equals the
    false negative rate.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Float of (videos,); higher means more likely positive.

    Returns:
        All in [0, 1]; NaN if all or no videos are positive.
    """
    if positive.all() or not positive.any():
        return np.nan, np.nan, np.nan
    hits, alarms = corners(positive, scores)
    true, false = hits / hits[-1], alarms / alarms[-1]
    average_precision = np.diff(true) @ (hits[1:] / (hits + alarms)[1:])
    eer = np.interp(0, false - (1 - true), false)  # false positives minus misses never decreases
    return float(np.trapezoid(true, false)), float(average_precision), float(eer)


def corners(positive: Array, scores: Array) -> tuple[Array, Array]:
    """Count the positives and the negatives down to each corner of the ROC curve, from the highest score.

    Returns:
        Each int of (corners,), from 0 to all.
    """
    where = steps(positive, scores)
    sizes = np.bincount(where)
    hits = np.cumsum(np.bincount(where[positive], minlength=len(sizes)))[sizes > 0]
    return np.r_[0, hits], np.r_[0, np.cumsum(sizes)[sizes > 0] - hits]


def steps(positive: Array, scores: Array) -> Array:
    """Cut the videos, in order of score, into the steps of the ROC curve; takes less time than sorting them.

    Args:
        positive: True for positive videos, bool of (videos,).
        scores: Float of (videos,); higher means more likely positive.

    Returns:
        The step of each video, int of (videos,): 2 i + 1 at the i-th highest score of a positive, counted from 0, and
        2 i for the negatives just above it.
    """
    levels, falling = np.unique(-scores[positive]), -scores
    return np.searchsorted(levels, falling, side="left") + np.searchsorted(levels, falling, side="right")


def confidence(targets: Array, probabilities: Array) -> tuple[Array, Array]:
    """Select the probability to calibrate: of the positive class if there are two, else of the predicted class.

    Returns:
        Probabilities, float of (videos,), and True where the video is of that class, bool of (videos,).
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], targets == 1
    return probabilities.max(axis=1), targets == probabilities.argmax(axis=1)


def bins(values: Array, number: int = BINS) -> Array:
    """Assign each probability to one of equally wide bins of [0, 1], open below; returns bin indices."""
    return np.searchsorted(np.linspace(0, 1, number + 1)[1:-1], values, side="left")


def in_top(targets: Array, probabilities: Array) -> Array:
    """Find the videos whose class is among the `TOP` most probable, bool of (videos,)."""
    own = probabilities[np.arange(len(targets)), targets, None]
    later = np.arange(probabilities.shape[1]) > targets[:, None]  # of equally probable classes, the last counts first
    ahead = (probabilities > own) | ((probabilities == own) & later)
    return np.asarray(ahead.sum(axis=1) < TOP)


def calibration_error(targets: Array, probabilities: Array) -> float:
    """Compute the expected calibration error: the mean gap of probability and frequency over bins (Naeini et al. 2015).

    For more than two classes, uses the predicted class (Guo et al. 2017). Never negative; with few videos it is above 0
    even for a perfectly calibrated model.
    """
    values, hits = confidence(targets, probabilities)
    gaps = np.bincount(bins(values), values - hits, minlength=BINS)
    return float(np.abs(gaps).sum() / len(targets))
