"""A support vector machine on features (Cortes & Vapnik 1995), calibrated on whole groups."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from clipfold.models.tabular import standardised
from clipfold.storage.files import Array


class CalibratedSVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Probabilities from decision values d: softmax(slope * d + intercept), as by Platt (1999).

    Slope and intercept come from decision values for groups that an inner fit has not seen (`calibrate`);
    scikit-learn's `probability=True` splits groups, and may turn the ranking over.
    """

    def __init__(self, svc: SVC) -> None:
        self.svc = svc

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on `X`, float of (videos, columns), and class indices `y`, with slope 1 and no intercept."""
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


def _decision(svc: SVC, x: Any) -> Any:
    """Return one decision value per class, float of (videos, classes); for two classes the first is 0."""
    values = svc.decision_function(x)
    return np.column_stack([np.zeros(len(x)), values]) if values.ndim == 1 else values


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; `C`, `kernel` and `gamma` are those of `sklearn.svm.SVC`."""
    names = ("C", "kernel", "gamma", "class_weight")
    return standardised(CalibratedSVC(SVC(**{name: settings[name] for name in names})), settings)


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
