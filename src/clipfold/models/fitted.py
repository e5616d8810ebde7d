"""Store fitted scikit-learn models with skops, in files that hold no code."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from clipfold.models.archive import refuse_compressed
from clipfold.models.compiled import check_compiled
from clipfold.storage.files import Array, PathLike
from clipfold.storage.replace import replacing

# Types in our models that skops does not trust by itself; none of them runs code from the file.
TRUSTED = (
    "clipfold.models.architectures.feature_ensemble.Stack",
    "clipfold.models.architectures.feature_mlp.BalancedMLP",
    "clipfold.models.architectures.gradient_boosting.columns_with_values",
    "clipfold.models.architectures.svm.CalibratedSVC",
    "clipfold.models.tabular.Ranks",
    "clipfold.models.tabular.separation",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils._bunch.Bunch",  # names of the parts of a VotingClassifier
)


class _Hidden(MetaPathFinder):
    """An import hook that hides PyTorch and pytest from this thread; others may just be loading a network."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in ("torch", "pytest") and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("hidden while skops is imported", name=fullname)


@contextmanager
def _without_what_jobs_do_not_need() -> Iterator[None]:
    finder = _Hidden()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


# To list all estimators, skops imports every module of scikit-learn, including its bridge to PyTorch and its tools for
# tests, which import pytest: two seconds and 600 MB in each job, for nothing.
with _without_what_jobs_do_not_need():
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException


def write_fitted(path: PathLike, model: Any) -> None:
    """Write a fitted scikit-learn estimator in the skops format; the file appears only when complete."""
    with replacing(path) as file:
        file.write(skops.io.dumps(model))


def read_fitted(path: PathLike) -> Any:
    """Read a model written by `write_fitted`.

    Raises:
        TypeError: The file holds types that are neither trusted by skops nor in `TRUSTED`.
        ValueError: The file is damaged, compressed, or holds a model that scikit-learn cannot use safely.
    """
    path = Path(path)
    refuse_compressed(path)
    try:
        model = skops.io.loads(path.read_bytes(), trusted=list(TRUSTED))
        check_compiled(model)
    except UntrustedTypesFoundException:  # a TypeError that names them
        raise
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"{path} holds no usable model ({error}): train the model again") from error
    return model


def class_probabilities(model: Any, x: Array, classes: int) -> Array:
    """Predict with a fitted classifier.

    Args:
        model: A classifier whose `classes_` are class indices.
        x: float (videos, columns).
        classes: Number of all classes; those that were not in the training data get probability 0.

    Returns:
        float64 (videos, classes); rows sum to 1.
    """
    probabilities = np.zeros((len(x), classes))
    probabilities[:, model.classes_] = model.predict_proba(x)
    return probabilities


def each_training(model: Any, x: Array, classes: int) -> Array:
    """Predict with every training of a fitted classifier with several `seeds`, float64 (trainings, videos, classes)."""
    found = model.transform(x)
    probabilities = np.zeros((len(found), len(x), classes))
    probabilities[:, :, model.classes_] = found
    return probabilities
