"""The record of a fit, `fit.json`: all that is needed to use its model again."""

import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from clipfold.checks import require
from clipfold.storage.files import PathLike
from clipfold.storage.records import parse_json, read_bytes

Input = Literal["features", "clips", "predictions"]
Record = Mapping[str, Any]

FORMAT = 1
"""Raised when a record changes in a way that older code could not read."""

MODEL_FILES: Mapping[Input, str] = {
    "features": "model.skops",
    "clips": "model.safetensors",
    "predictions": "model.json",
}

_ARCHITECTURE = re.compile(r"clipfold\.(models\.architectures\.\w+|training\.on_predictions)")
_PACKAGES = ("clipfold", "numpy", "scikit-learn", "skops", "torch", "torchvision")


def read_record(path: PathLike) -> dict[str, Any]:
    """Read `fit.json`.

    Raises:
        ValueError: It has another format, or is no record of a fit of a known architecture.
    """
    record = parse_json(read_bytes(Path(path)))
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{path}: format is {found!r}, this version of clipfold reads {FORMAT}: "
            "train the model again, or use the version that trained it"
        )
    classes, architecture = record.get("classes"), record.get("architecture")
    # A module of any name would be imported. Not looked up in the catalog: every addition there would retrain all.
    ours = isinstance(architecture, str) and _ARCHITECTURE.fullmatch(architecture)
    require(bool(ours), f"{path}: architecture", architecture, "train the model again")
    require(record.get("input") in [*MODEL_FILES], f"{path}: input", record.get("input"), "train the model again")
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    require(named, f"{path}: classes", classes, "train the model again")
    require(isinstance(record.get("settings"), dict), f"{path}: settings", record.get("settings"), "train again")
    return dict(record)


def trainings(record: Record) -> int:
    """Return how often a network was trained, each time from another random start; the model is their mean.

    Raises:
        ValueError: The record has no such number.
    """
    number = record["settings"].get("seeds", 1)
    require(type(number) is int and number >= 1, "fit.json: seeds", number, "use a whole number, 1 or more")
    return int(number)


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
