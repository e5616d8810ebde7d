"""Gradient-boosted trees on binned features (Friedman 2001; Ke et al. 2017), which take missing values as they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from clipfold.storage.files import Array


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Make the classifier; settings are those of `sklearn.ensemble.HistGradientBoostingClassifier`."""
    names = ("learning_rate", "max_iter", "max_leaf_nodes", "min_samples_leaf", "l2_regularization", "class_weight")
    options = {name: settings[name] for name in names}
    known = ColumnTransformer([("known", "passthrough", columns_with_values)])
    # Stopping early would hold out rows of the training part, whatever group they are of.
    return make_pipeline(known, HistGradientBoostingClassifier(**options, early_stopping=False, random_state=seed))


def columns_with_values(x: Array) -> Array:
    """Which columns have a value in any row: there are no bins of the others, and scikit-learn stops at them."""
    return np.asarray((~np.isnan(x)).any(axis=0))
