"""A logistic regression or small boosted trees, whichever the inner folds choose: for shortcuts."""

from collections.abc import Mapping
from typing import Any

from sklearn.pipeline import Pipeline

from clipfold.models.architectures import gradient_boosting, logistic_regression

_TREES = {"learning_rate": 0.05, "max_iter": 60, "max_leaf_nodes": 4, "min_samples_leaf": 10, "l2_regularization": 0.0}


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; `kind` is `linear` or `trees`, `C` that of the logistic regression."""
    if settings["kind"] == "linear":
        return logistic_regression.build(settings, seed)
    return gradient_boosting.build({**settings, **_TREES}, seed)
