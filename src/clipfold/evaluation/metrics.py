"""How good probabilities are, by the standard measures (scikit-learn's throughout).

Targets are class indices, int of (videos,); probabilities are floats of (videos, classes) in [0, 1] whose rows sum to
1. Class indices count the sorted class names. A video is predicted to be of its most probable class. Of two classes,
the positive one is the last: `real` in `fake, real`.
"""

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from clipfold.store import Array


def headline(classes: int) -> str:
    """Name of the metric that ranks models: one that needs no threshold for two classes, a plain one for more."""
    return "roc_auc" if classes == 2 else "balanced_accuracy"


def positives(classes: int) -> range:
    """Classes that are each held against the rest to rank videos: the positive one of two, or all of several."""
    return range(1, 2) if classes == 2 else range(classes)


def overall(targets: Array, probabilities: Array) -> dict[str, float]:
    """Metrics over all classes.

    Macro averages are over the classes present in `targets`; a class that is never predicted has precision 0.
    Balanced accuracy is macro recall by another name (Brodersen et al. 2010). ROC-AUC and average precision of more
    than two classes are means of one against the rest. The Brier score is in [0, 1] for two classes and in [0, 2] for
    more, as it was defined (Brier 1950).

    Args:
        targets: class indices, int of (videos,).
        probabilities: float of (videos, classes).

    Returns:
        Metric -> value. `roc_auc` and `average_precision` are NaN where a class is absent.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predicted, labels=np.unique(targets), average="macro", zero_division=0
    )
    ranked = [ranking(targets == c, probabilities[:, c]) for c in positives(classes)]
    # Networks' softmax is in float32 and sums to 1 only to seven digits, of which scikit-learn warns.
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    return {
        "accuracy": float(accuracy_score(targets, predicted)),
        "balanced_accuracy": float(recall),
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
        "roc_auc": float(np.mean([auc for auc, _ in ranked])),
        "average_precision": float(np.mean([ap for _, ap in ranked])),
        "log_loss": float(log_loss(targets, exact, labels=range(classes))),
        "brier": float(brier_score_loss(targets, exact, labels=range(classes))),
    }


def per_class(targets: Array, probabilities: Array) -> list[dict[str, float]]:
    """Metrics of each class against the rest.

    Args:
        targets: class indices, int of (videos,).
        probabilities: float of (videos, classes).

    Returns:
        Per class, metric -> value; `support` is its number of videos. All else is NaN where the class is absent.
    """
    classes = probabilities.shape[1]
    columns = precision_recall_fscore_support(
        targets, probabilities.argmax(axis=1), labels=range(classes), zero_division=0
    )
    return [
        {
            "precision": float(precision) if support else np.nan,
            "recall": float(recall) if support else np.nan,
            "f1": float(f1) if support else np.nan,
            "roc_auc": ranking(targets == c, probabilities[:, c])[0],
            "support": float(support),
        }
        for c, (precision, recall, f1, support) in enumerate(zip(*columns, strict=True))
    ]


def confusion(targets: Array, probabilities: Array) -> Array:
    """Videos by true class (rows) and predicted class (columns), int64 of (classes, classes)."""
    predicted = probabilities.argmax(axis=1)
    return confusion_matrix(targets, predicted, labels=range(probabilities.shape[1]))  # type: ignore[no-any-return]


def ranking(positive: Array, scores: Array) -> tuple[float, float]:
    """ROC-AUC and average precision.

    Args:
        positive: bool of (videos,).
        scores: float of (videos,); higher speaks for positive.

    Returns:
        Both in [0, 1], or NaN where all videos are positive, or none is.
    """
    if positive.all() or not positive.any():
        return np.nan, np.nan
    return float(roc_auc_score(positive, scores)), float(average_precision_score(positive, scores))
