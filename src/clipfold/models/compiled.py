"""Check the arrays that scikit-learn's compiled code indexes without looking: wrong ones crash or hang the process."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.svm import SVC


def check_compiled(model: Any) -> None:
    """Check the boosted trees and support vectors anywhere in a fitted estimator; skops refuses other trees.

    Raises:
        ValueError: A node points outside of its tree, backwards or to a missing column; arrays have other shapes than
            their model; or columns are transformed between an estimator and its trees.
    """
    for part in _parts(model):
        if isinstance(part, SVC):
            _check_support_vectors(part)
        elif hasattr(part, "_predictors"):  # gradient boosting on histograms
            trees = [tree for trees in part._predictors for tree in trees]
            _require(part._preprocessor is None, "columns are transformed before its trees")
            for tree in trees:
                _check_tree(tree, part.n_features_in_)


def _parts(value: Any) -> Iterator[Any]:
    """Yield an object and all that it holds, each once."""
    pending, seen = [value], set[int]()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            pending.extend([*part.keys(), *part.values()])
        elif isinstance(part, list | tuple | set | frozenset):
            pending.extend(part)
        elif isinstance(part, np.ndarray):
            pending.extend(part.ravel().tolist() if part.dtype.hasobject else ())
        else:
            pending.extend(vars(part).values() if hasattr(part, "__dict__") else ())


def _check_tree(tree: Any, columns: int) -> None:
    nodes = tree.nodes
    at = np.flatnonzero(nodes["is_leaf"] == 0)
    inner = nodes[at]
    _require(nodes.ndim == 1 and len(nodes) > 0 and np.isfinite(nodes["value"]).all(), "a tree has no usable nodes")
    _require(not inner["is_categorical"].any(), "a tree splits categories, which no feature has")
    for child in (inner["left"], inner["right"]):  # children come later, so that every path ends
        _require(((child > at) & (child < len(nodes))).all(), "a node of a tree has no such child")
    known = (inner["feature_idx"] >= 0) & (inner["feature_idx"] < columns)
    _require(known.all(), "a node of a tree splits a column that is missing")


def _check_support_vectors(model: Any) -> None:
    classes, vectors = len(model.classes_), len(model.support_vectors_)
    pairs = classes * (classes - 1) // 2
    platt = pairs if model.probability is True else 0  # of bundles made before `svm` calibrated by itself
    shapes = {
        "support_": (vectors,),
        "support_vectors_": (vectors, model.n_features_in_),
        "_n_support": (classes,),
        "_dual_coef_": (classes - 1, vectors),
        "_intercept_": (pairs,),
        "_probA": (platt,),
        "_probB": (platt,),
    }
    wrong = [name for name, shape in shapes.items() if np.shape(getattr(model, name)) != shape]
    _require(not wrong, f"{', '.join(wrong)} of the support vectors has another shape than the model")
    counts = model._n_support
    _require((counts >= 0).all() and counts.sum() == vectors, "the numbers of support vectors do not add up")


def _require(condition: Any, what: str) -> None:
    if not condition:
        raise ValueError(what)
