"""A support vector machine on features (Cortes & Vapnik 1995), calibrated on whole groups."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from clipfold.models.tabular import standardised

_FOLDS = 5


class CalibratedSVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Probabilities from decision values d: softmax(slope * d + intercept), as by Platt (1999).

    Slope and intercept are fitted to decision values for groups that an inner fit has not seen; scikit-learn's
    `probability=True` splits groups, and may turn the ranking over. Here the slope is positive, so that the ranking is
    that of the decision values. Both are shrunk towards 1 and 0 by a standard normal prior (of the slope's logarithm),
    where each group counts once: few groups change little.
    """

    def __init__(self, svc: SVC) -> None:
        self.svc = svc

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on `X`, float of (videos, columns), and class indices `y`; `groups` None: each video is one."""
        X, y = np.asarray(X), np.asarray(y)
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        self.svc.fit(X, y)
        self.classes_ = self.svc.classes_
        self.slope_, self.intercept_ = 1.0, np.zeros(len(self.classes_))
        folds = min(_FOLDS, *(len(np.unique(groups[y == c])) for c in self.classes_))
        if folds < 2:  # no inner fit could see each class and leave a group of it out
            return self
        values, kept = np.zeros((len(y), len(self.classes_))), np.zeros(len(y), bool)
        for train, test in StratifiedGroupKFold(folds).split(X, y, groups):
            if len(np.unique(y[train])) == len(self.classes_):
                inner = SVC(**self.svc.get_params()).fit(X[train], y[train])
                values[test], kept[test] = _decision(inner, X[test]), True
        if kept.any():
            self._calibrate(values[kept], np.searchsorted(self.classes_, y[kept]), groups[kept])
        return self

    def _calibrate(self, values: Any, targets: Any, groups: Any) -> None:
        each = np.arange(len(targets))
        weight = len(np.unique(groups)) / len(targets)

        def loss(theta: Any) -> float:
            likely = log_softmax(np.exp(theta[0]) * values + theta[1:], axis=1)[each, targets]
            return float(-weight * likely.sum() + (theta**2).sum() / 2)

        theta = minimize(loss, np.zeros(1 + values.shape[1]), method="L-BFGS-B").x
        self.slope_, self.intercept_ = float(np.exp(theta[0])), theta[1:]

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
    return standardised(CalibratedSVC(SVC(**{name: settings[name] for name in names})))


def fit(model: Pipeline, x: Any, targets: Any, groups: Any) -> None:
    """Fit the classifier, also within a pipeline that encodes categories; `groups` holds the group of each video."""
    within = "" if "calibratedsvc" in model.named_steps else "pipeline__"
    model.fit(x, targets, **{f"{within}calibratedsvc__groups": groups})
