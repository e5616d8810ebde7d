"""What the models on features share."""

from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def standardised(classifier: BaseEstimator) -> Pipeline:
    """Fill missing values with the column's median, scale to unit variance, classify; all fitted on training data."""
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), classifier)
