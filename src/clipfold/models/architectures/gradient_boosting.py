"""Gradient-boosted trees on binned features (Friedman 2001; Ke et al. 2017); missing values need no imputation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from clipfold.storage.files import Array


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; its settings are those of `sklearn.ensemble.HistGradientBoostingClassifier`."""
    names = ("learning_rate", "max_iter", "max_leaf_nodes", "min_samples_leaf", "l2_regularization", "class_weight")
    options = {name: settings[name] for name in names}
    known = ColumnTransformer([("known", "passthrough", columns_with_values)])
    # Early stopping would hold out random rows of the training split and so separate videos of one group.
    return make_pipeline(known, HistGradientBoostingClassifier(**options, early_stopping=False, random_state=seed))


def columns_with_values(x: Array) -> Array:
    """Mark the columns with a value in any row: scikit-learn cannot bin the others, and fails."""
    return np.asarray((~np.isnan(x)).any(axis=0))
