"""Logistic regressions on each feature group and on all together, stacked by their out-of-fold predictions."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from clipfold.features.registry import group_of
from clipfold.models.architectures.logistic_regression import build
from clipfold.models.mixing import mix

__all__ = ["Stack", "build", "members"]


class Stack(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A weighted mean of classifiers, each of which sees columns of its own (Wolpert 1992, Stacked generalization).

    Args:
        members: The classifiers.
        columns: Positions of the columns of each.
        weights: Weight of each, at least 0 and 1 in total.
    """

    def __init__(self, members: Sequence[Any], columns: Sequence[Sequence[int]], weights: Sequence[float]) -> None:
        self.members, self.columns, self.weights = members, columns, weights

    def fit(self, X: Any, y: Any) -> Self:
        """Fit each member on its columns of `X`, float (videos, columns) or a data frame, and class indices `y`."""
        self.fitted_ = [clone(m).fit(_columns(X, own), y) for m, own in zip(self.members, self.columns, strict=True)]
        self.classes_ = self.fitted_[0].classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of `classes_`, float of (videos, classes)."""
        each = [m.predict_proba(_columns(X, own)) for m, own in zip(self.fitted_, self.columns, strict=True)]
        return mix(np.array(self.weights), np.stack(each))

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each video."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def members(columns: Sequence[str]) -> Mapping[str, list[int]]:
    """Name the members and the positions of their columns: a member for each group, and one of all together.

    Beside embeddings, whose thousands of columns drown all others, the handcrafted groups have one together, too.

    >>> members(["motion.a", "noise.b"])
    {'motion': [0], 'noise': [1], 'all': [0, 1]}
    >>> members(["motion.a", "noise.b", "embedding.c.0"])["handcrafted"]
    [0, 1]
    """
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(columns):
        groups.setdefault(group_of(name), []).append(position)
    together = {"all": [*range(len(columns))]} if len(groups) > 1 else {}
    own = [group for group in groups if not group.startswith("embedding.")]
    if 1 < len(own) < len(groups):
        together["handcrafted"] = sorted(position for group in own for position in groups[group])
    return groups | together


def _columns(x: Any, own: Sequence[int]) -> Any:
    return x.iloc[:, own] if hasattr(x, "iloc") else x[:, own]
