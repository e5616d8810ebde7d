"""A support vector machine on features (Cortes & Vapnik 1995), with probabilities by Platt's method."""

from collections.abc import Mapping
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from clipfold.models.tabular import standardised


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; `C`, `kernel` and `gamma` are those of `sklearn.svm.SVC`."""
    names = ("C", "kernel", "gamma", "class_weight")
    return standardised(SVC(**{name: settings[name] for name in names}, probability=True, random_state=seed))
