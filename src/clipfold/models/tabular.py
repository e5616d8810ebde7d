"""Preprocessing shared by models on features."""

from collections.abc import Sequence

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MOST_CATEGORIES = 100
"""Categories of a column that a model tells apart; rarer ones are one."""


def standardised(classifier: BaseEstimator) -> Pipeline:
    """Build a pipeline, fitted on training data alone: impute medians, scale to unit variance, classify."""
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), classifier)


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
