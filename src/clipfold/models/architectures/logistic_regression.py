"""Logistic regression on features, with L2 regularisation."""

from collections.abc import Mapping
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from clipfold.models.tabular import standardised


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; `C` is the inverse strength of the regularisation."""
    weight = settings["class_weight"]
    return standardised(
        LogisticRegression(C=settings["C"], class_weight=weight, max_iter=5000, random_state=seed), settings
    )
