"""Preprocessing shared by models on features."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectPercentile, f_classif
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

from clipfold.storage.files import Array

MOST_CATEGORIES = 100
"""Categories of a column that a model tells apart; rarer ones are one."""


def standardised(classifier: BaseEstimator, settings: Mapping[str, Any]) -> Pipeline:
    """Build a pipeline, fitted on training data alone: impute medians, scale, select columns, classify.

    Args:
        classifier: Classifier of numbers of unit variance.
        settings: `scaling` and `keep`, see `models.settings.SCALED`.
    """
    steps = [SimpleImputer(strategy="median", keep_empty_features=True)]
    if settings["scaling"] == "ranks":
        steps.append(Ranks())
    steps.append(StandardScaler())
    if settings["keep"] < 1:
        steps.append(SelectPercentile(separation, percentile=100 * settings["keep"]))
    return make_pipeline(*steps, classifier)


class Ranks(QuantileTransformer):  # type: ignore[misc]  # scikit-learn has no types
    """Replaces each value by the share of training rows below it: outliers count no more than others."""

    def fit(self, X: Array, y: Array | None = None) -> Self:
        self.n_quantiles = min(100, len(X))
        return super().fit(X, y)  # type: ignore[no-any-return]


def separation(x: Array, targets: Array) -> Array:
    """Measure how far apart the classes are in each column, by the F of an analysis of variance (Fisher 1925).

    Args:
        x: float (rows, columns).
        targets: Class indices, (rows,).

    Returns:
        float64 (columns,), 0 for columns of one value.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # columns of one value
        found = f_classif(x, targets)[0]
    return np.asarray(np.nan_to_num(found, posinf=np.finfo(float).max), np.float64)


def encoded(model: BaseEstimator, columns: Sequence[str], categories: Sequence[str]) -> Pipeline:
    """Put a number per category, 0 or 1, in place of categories, by those of the training data alone.

    A category that these lack is taken for a rare one, or is 0 in all numbers where they have no rare ones.

    Args:
        model: Classifier of numbers.
        columns: Columns of the data frame that the pipeline takes.
        categories: Those of text; the others are numbers.
    """
    numbers = [name for name in columns if name not in set(categories)]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False, dtype=float
    )
    parts = [("numbers", "passthrough", numbers), ("categories", one_hot, list(categories))]
    return make_pipeline(ColumnTransformer(parts), model)


def text_columns(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """List the columns of categories."""
    return [name for name in columns if not pd.api.types.is_numeric_dtype(table[name])]
