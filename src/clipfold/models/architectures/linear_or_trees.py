"""The better of a logistic regression and small boosted trees, chosen by inner folds of whole groups: for shortcuts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from clipfold.models.architectures import gradient_boosting, logistic_regression
from clipfold.storage.files import Array

_FOLDS = 5
_C = 0.1
_TREES = {"learning_rate": 0.05, "max_iter": 60, "max_leaf_nodes": 4, "min_samples_leaf": 10, "l2_regularization": 0.0}


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier, a logistic regression until `fit` chooses."""
    return Pipeline([("kind", logistic_regression.build({"C": _C, **settings}, seed))])


def fit(model: Pipeline, x: Array, targets: Array, groups: Array) -> None:
    """Keep the kind that better ranks videos of groups that an inner fit has not seen, and fit it on all.

    Args:
        model: Result of `build`.
        x: Float of (videos, columns).
        targets: Class indices, int of (videos,).
        groups: The group of each video, str of (videos,).
    """
    linear = model["kind"]
    options = linear["logisticregression"].get_params()
    trees = gradient_boosting.build({**_TREES, "class_weight": options["class_weight"]}, options["random_state"])
    folds = min(_FOLDS, *(len(np.unique(groups[targets == c])) for c in np.unique(targets)))
    if folds > 1:  # else no inner fit could see each class and leave a group of it out
        inner = list(StratifiedGroupKFold(folds).split(x, targets, groups))
        # Of equals, the first: the simpler one.
        kind = max((linear, trees), key=lambda each: _ranking(each, x, targets, inner))
        model.set_params(kind=kind)
    model.fit(x, targets)


def _ranking(kind: BaseEstimator, x: Array, targets: Array, inner: list[tuple[Array, Array]]) -> float:
    """Compute the mean ROC-AUC over inner folds and classes, each against the rest; 0.5 if there is none."""
    found = []
    for train, test in inner:
        fitted = clone(kind).fit(x[train], targets[train])
        probabilities = fitted.predict_proba(x[test])
        for column, c in enumerate(fitted.classes_):
            own = targets[test] == c
            if 0 < own.sum() < len(own):
                found.append(roc_auc_score(own, probabilities[:, column]))
    return float(np.mean(found)) if found else 0.5
