"""The state of a fit on disk, so that a killed job resumes where it was."""

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from clipfold.models.archive import refuse_compressed
from clipfold.storage.files import PathLike
from clipfold.storage.replace import replacing

logger = logging.getLogger(__name__)


def key_of(facts: object, files: Iterable[PathLike]) -> str:
    """Hash everything that a fit depends on: its settings, and the size and modification time of the files it reads."""
    stats = [(str(path), (stat := Path(path).stat()).st_size, stat.st_mtime_ns) for path in files]
    return hashlib.blake2b(json.dumps([facts, stats], sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


class Checkpoint:
    """The checkpoint file of one fit.

    Args:
        path: The file.
        key: Hash of what the fit depends on, see `key_of`; a file with another key is ignored.
    """

    def __init__(self, path: PathLike, key: str) -> None:
        self._path, self._key = Path(path), key

    def save(self, state: dict[str, Any]) -> None:
        """Write a state of tensors and plain values; the previous one stays until the new one is complete."""
        with replacing(self._path) as file:
            torch.save({"key": self._key, **state}, file)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Read the state; None if the file is missing, unreadable or has another key."""
        if not self._path.is_file():  # a pipe would wait for a writer
            return None
        try:
            refuse_compressed(self._path)
            state: dict[str, Any] = torch.load(self._path, map_location=device, weights_only=True)
            found = state["key"]
        except Exception as error:  # a damaged file may raise anything, and the fit can start over
            logger.warning("%s cannot be read (%s): starting over", self._path, error)
            return None
        if found != self._key:
            logger.warning("%s belongs to other settings or data: starting over", self._path)
            return None
        return state

    def remove(self) -> None:
        """Remove the file after the fit is complete, and its folder if that is empty."""
        self._path.unlink(missing_ok=True)
        if self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()
