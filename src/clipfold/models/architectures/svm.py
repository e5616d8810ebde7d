"""A support vector machine on features (Cortes & Vapnik 1995), calibrated on whole groups."""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from clipfold.models.tabular import standardised
from clipfold.storage.files import Array

_AT_ONCE = 10_000_000
"""Most values of the kernel at once, 80 MB: of videos times support vectors."""


class CalibratedSVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Probabilities from decision values d: softmax(slope * d + intercept), as by Platt (1999).

    Slope and intercept come from decision values for groups that an inner fit has not seen (`calibrate`);
    scikit-learn's `probability=True` splits groups, and may turn the ranking over.

    Args:
        svc: The machine.
        most_videos: Most videos to fit on; 0: all of them. The time of a fit grows with their square.
        seed: Draws them.
    """

    def __init__(self, svc: SVC, most_videos: int, seed: int) -> None:
        self.svc, self.most_videos, self.seed = svc, most_videos, seed

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on `X`, float of (videos, columns), and class indices `y`, with slope 1 and no intercept."""
        if 0 < self.most_videos < len(y):
            drawn = draw(np.asarray(y), self.most_videos, self.seed)
            X, y = X[drawn], y[drawn]
        self.svc.fit(X, y)
        self.classes_ = self.svc.classes_
        self.slope_, self.intercept_ = 1.0, np.zeros(len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of `classes_`, float of (videos, classes)."""
        return softmax(self.slope_ * _decision(self.svc, X) + self.intercept_, axis=1)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each video."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def draw(targets: Array, most: int, seed: int) -> Array:
    """Draw rows, as many of each class as there are, up to an equal share.

    Args:
        targets: Class indices, (rows,).
        most: How many to draw, at most `len(targets)`.
        seed: Of the draw.

    Returns:
        Their indices in order, int64 (most,).

    >>> draw(np.array([0, 0, 0, 0, 0, 0, 1, 1]), 4, seed=0)[2:]
    array([6, 7])
    """
    turn, random = np.empty(len(targets), np.int64), np.random.default_rng(seed)
    for target in np.unique(targets):
        own = np.flatnonzero(targets == target)
        turn[random.permutation(own)] = np.arange(len(own))
    return np.sort(np.argsort(turn, kind="stable")[:most])


def _decision(svc: SVC, x: Any) -> Any:
    """Return one decision value per class, float of (videos, classes); for two classes the first is 0."""
    if svc.kernel == "rbf" and len(svc.classes_) == 2:  # several times as fast as libsvm, vector by vector
        parts = np.array_split(x, max(1, math.ceil(len(x) * len(svc.support_vectors_) / _AT_ONCE)))
        kernels = (rbf_kernel(part, svc.support_vectors_, svc._gamma) for part in parts)
        values = np.concatenate([kernel @ svc.dual_coef_[0] for kernel in kernels]) + svc.intercept_
    else:
        values = svc.decision_function(x)
    return np.column_stack([np.zeros(len(x)), values]) if values.ndim == 1 else values


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; `C`, `kernel` and `gamma` are those of `sklearn.svm.SVC`."""
    svc = SVC(**{name: settings[name] for name in ("C", "kernel", "gamma", "class_weight")})
    return standardised(CalibratedSVC(svc, settings["most_videos"], seed), settings)


def calibrate(model: Pipeline, slope: float, intercept: Array) -> None:
    """Calibrate the fitted classifier, also within a pipeline that encodes categories.

    Args:
        model: A fitted result of `build`.
        slope: Factor of the decision values, positive: the ranking stays.
        intercept: Is added to them, float64 (classes,).
    """
    while isinstance(model, Pipeline):
        model = model[-1]
    model.slope_, model.intercept_ = slope, intercept[model.classes_]
