"""Preprocessing shared by models on features."""

from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def standardised(classifier: BaseEstimator) -> Pipeline:
    """Build a pipeline, fitted on training data alone: impute medians, scale to unit variance, classify."""
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), classifier)
