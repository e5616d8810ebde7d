"""Fitted scikit-learn models as files that hold no code, by skops."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from clipfold.storage.files import PathLike, replacing

# What saved models hold that skops does not know to be harmless, but is: none of it runs code of the file.
TRUSTED = (
    "clipfold.models.architectures.feature_mlp.BalancedMLP",
    "clipfold.models.architectures.gradient_boosting.columns_with_values",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


class _NoTorch(MetaPathFinder):
    """Finds no PyTorch, whether there is one or not."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "torch":
            raise ModuleNotFoundError("not wanted here", name=fullname)


@contextmanager
def _without_torch() -> Iterator[None]:
    finder = _NoTorch()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


# To list all estimators, skops has every package of scikit-learn imported, its bridge to PyTorch among them: two
# seconds and 600 MB for each job, and for nothing.
with _without_torch():
    import skops.io


def write_fitted(path: PathLike, model: Any) -> None:
    """Write a fitted scikit-learn estimator in the format of skops; only a whole file takes the path."""
    with replacing(path) as file:
        file.write(skops.io.dumps(model))


def read_fitted(path: PathLike) -> Any:
    """Read what `write_fitted` wrote.

    Raises:
        TypeError: the file holds types that are not trusted, by skops or in `TRUSTED`.
    """
    return skops.io.loads(Path(path).read_bytes(), trusted=list(TRUSTED))
