"""How good probabilities are, by the standard measures (scikit-learn's throughout).

Targets are class indices, int of (videos,); probabilities are floats of (videos, classes) in [0, 1] whose rows sum to
1. Class indices count the sorted class names. A video is predicted to be of its most probable class. Of two classes,
the positive one is the last: `real` in `fake, real`.
"""

import math
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from clipfold.storage.files import Array

BINS = 15  # of the expected calibration error, as in Guo et al. 2017


def headline(classes: int) -> str:
    """Name of the metric that ranks models: one that needs no threshold for two classes, a plain one for more."""
    return "roc_auc" if classes == 2 else "balanced_accuracy"


def positives(classes: int) -> range:
    """Classes that are each held against the rest to rank videos: the positive one of two, or all of several."""
    return range(1, 2) if classes == 2 else range(classes)


def bounds(metric: str, classes: int) -> tuple[float, float]:
    """The least and the greatest value that a metric can have."""
    unusual: Mapping[str, tuple[float, float]] = {
        "mcc": (-1, 1),
        "log_loss": (0, math.inf),
        "brier": (0, 1 if classes == 2 else 2),
    }
    return unusual.get(metric, (0, 1))


def overall(targets: Array, probabilities: Array) -> dict[str, float]:
    """Metrics over all classes: those of `decisions` for the most probable class, and those of the probabilities.

    ROC-AUC, average precision and the equal error rate of more than two classes are means of one against the rest. The
    Brier score is in [0, 1] for two classes and in [0, 2] for more, as it was defined (Brier 1950).

    Args:
        targets: class indices, int of (videos,).
        probabilities: float of (videos, classes).

    Returns:
        Metric -> value. `roc_auc`, `average_precision` and `eer` are NaN where a class is absent.
    """
    classes = probabilities.shape[1]
    decided, _ = decisions(targets, probabilities.argmax(axis=1), classes)
    auc, average_precision, eer = np.mean([ranking(targets == c, probabilities[:, c]) for c in positives(classes)], 0)
    # Networks' softmax is in float32 and sums to 1 only to seven digits, of which scikit-learn warns.
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    return decided | {
        "roc_auc": float(auc),
        "average_precision": float(average_precision),
        "eer": float(eer),
        "log_loss": float(log_loss(targets, exact, labels=range(classes))),
        "brier": float(brier_score_loss(targets, exact, labels=range(classes))),
        "ece": calibration_error(targets, probabilities),
    }


def per_class(targets: Array, probabilities: Array) -> list[dict[str, float]]:
    """Metrics of each class against the rest.

    Args:
        targets: class indices, int of (videos,).
        probabilities: float of (videos, classes).

    Returns:
        Per class, metric -> value; `support` is its number of videos. All else is NaN where the class is absent.
    """
    _, decided = decisions(targets, probabilities.argmax(axis=1), probabilities.shape[1])
    return [
        own | {"roc_auc": ranking(targets == c, probabilities[:, c])[0], "support": float((targets == c).sum())}
        for c, own in enumerate(decided)
    ]


def decisions(targets: Array, predicted: Array, classes: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Metrics that ask for a decision and not for probabilities.

    Macro averages are over the classes present in `targets`; a class that is never predicted has precision 0.
    Balanced accuracy is macro recall by another name (Brodersen et al. 2010). `mcc` is Matthews' correlation, for more
    than two classes in the form of Gorodkin (2004), and 0 where it is not defined.

    Args:
        targets: class indices, int of (videos,).
        predicted: class indices, int of (videos,).
        classes: how many there are.

    Returns:
        Metric -> value over all classes, and per class, NaN where it is absent from `targets`.
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
        # Of a single class it is 0, but scikit-learn warns.
        "mcc": float(matthews_corrcoef(targets, predicted)) if np.ptp(np.r_[targets, predicted]) else 0.0,
    }
    each = [{"precision": float(precision[c]), "recall": float(recall[c]), "f1": float(f1[c])} for c in range(classes)]
    return overall, each


def confusion(targets: Array, probabilities: Array) -> Array:
    """Videos by true class (rows) and predicted class (columns), int64 of (classes, classes)."""
    predicted = probabilities.argmax(axis=1)
    return confusion_matrix(targets, predicted, labels=range(probabilities.shape[1]))  # type: ignore[no-any-return]


def ranking(positive: Array, scores: Array) -> tuple[float, float, float]:
    """ROC-AUC, average precision and the equal error rate.

    The equal error rate is where the ROC curve, straight between its points, has as many false positives among the
    negatives as misses among the positives.

    Args:
        positive: bool of (videos,).
        scores: float of (videos,); higher speaks for positive.

    Returns:
        All in [0, 1], or NaN where all videos are positive, or none is.
    """
    if positive.all() or not positive.any():
        return np.nan, np.nan, np.nan
    false, true, _ = roc_curve(positive, scores)
    eer = float(np.interp(0, false - (1 - true), false))  # the excess of false positives over misses never falls
    return float(roc_auc_score(positive, scores)), float(average_precision_score(positive, scores)), eer


def confidence(targets: Array, probabilities: Array) -> tuple[Array, Array]:
    """What calibration compares: for two classes the positive one's probability, for more that of the predicted class.

    Returns:
        Probability, float of (videos,), and whether the video is of that class, bool of (videos,).
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], targets == 1
    return probabilities.max(axis=1), targets == probabilities.argmax(axis=1)


def bins(values: Array, number: int = BINS) -> Array:
    """Index of the equally wide bin of [0, 1], open below, that each probability is in."""
    return np.searchsorted(np.linspace(0, 1, number + 1)[1:-1], values, side="left")


def calibration_error(targets: Array, probabilities: Array) -> float:
    """Expected calibration error: the mean distance of probability and frequency over bins (Naeini et al. 2015).

    For more than two classes it is that of the predicted class (Guo et al. 2017). It is never negative, and with few
    videos it is above 0 for a perfectly calibrated model too.
    """
    values, hits = confidence(targets, probabilities)
    gaps = np.bincount(bins(values), values - hits, minlength=BINS)
    return float(np.abs(gaps).sum() / len(targets))
