"""A fit's state on disk, so that a killed job goes on where it was."""

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from clipfold.storage.files import PathLike, replacing

logger = logging.getLogger(__name__)


def key_of(facts: object, files: Iterable[PathLike]) -> str:
    """Name what a fit depends on: its settings and the files it reads, by size and time of modification."""
    stats = [(str(path), (stat := Path(path).stat()).st_size, stat.st_mtime_ns) for path in files]
    return hashlib.blake2b(json.dumps([facts, stats], sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state: tensors and plain values only; the one before stays until this one is whole."""
    with replacing(path) as file:
        torch.save(state, file)


def load(path: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """Read a state; None if there is none, it is of another fit (`key`), or it cannot be read."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        found = state["key"]
    except Exception as error:  # whatever a damaged file raises: the fit can begin anew
        logger.warning("%s cannot be read (%s): starting anew", path, error)
        return None
    if found != key:
        logger.warning("%s is of other settings or data: starting anew", path)
        return None
    return state


def remove(path: Path) -> None:
    """Remove the state of a fit that is done, and its folder if nothing else is in it."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()
