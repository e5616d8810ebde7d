"""The record of a fit, `fit.json`: all that is needed to use its model again."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from clipfold.storage.files import PathLike, read_json

Input = Literal["features", "clips", "predictions"]
Record = Mapping[str, Any]

FORMAT = 1
"""Raised when a record changes in a way that older code could not read."""

MODEL_FILES: Mapping[Input, str] = {
    "features": "model.skops",
    "clips": "model.safetensors",
    "predictions": "model.json",
}

_PACKAGES = ("clipfold", "numpy", "scikit-learn", "skops", "torch", "torchvision")


def read_record(path: PathLike) -> dict[str, Any]:
    """Read `fit.json`.

    Raises:
        ValueError: It has another format.
    """
    record: dict[str, Any] = read_json(path)
    if record.get("format") != FORMAT:
        raise ValueError(
            f"{path}: format is {record.get('format')!r}, this version of clipfold reads {FORMAT}: "
            "train the model again, or use the version that trained it"
        )
    return record


def model_file(folder: PathLike, record: Record) -> Path:
    """Name the file of the fitted model beside its record."""
    return Path(folder, MODEL_FILES[record["input"]])


def versions() -> dict[str, str]:
    """List the versions of Python and of the packages that decide what a fitted model predicts."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from its source folder, or not part of this environment
            continue
    return found
