"""What the models on features share."""

from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

# What saved models hold that skops does not know to be harmless, but is: none of it runs code of the file.
TRUSTED = (
    "clipfold.models.feature_mlp.BalancedMLP",
    "clipfold.models.gradient_boosting.columns_with_values",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


def standardised(classifier: BaseEstimator) -> Pipeline:
    """Fill missing values with the column's median, scale to unit variance, classify; all fitted on training data."""
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), classifier)
