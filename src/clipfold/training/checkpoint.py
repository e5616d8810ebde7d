"""The state of a fit on disk, so that a killed job resumes where it was."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from clipfold.models.archive import refuse_compressed
from clipfold.storage.files import PathLike
from clipfold.storage.replace import replacing

logger = logging.getLogger(__name__)


class Checkpoint:
    """The checkpoint file of one fit.

    Args:
        path: The file.
        key: Hash of what the fit depends on, see `clipfold.storage.hashing.key_of`; a file with another key is ignored.
    """

    def __init__(self, path: PathLike, key: str) -> None:
        self._path, self._key = Path(path), key
        self._writer: ThreadPoolExecutor | None = None
        self._written: Future[None] | None = None

    def save(self, state: dict[str, Any]) -> None:
        """Write a state of tensors and plain values; the previous one stays until the new one is complete."""
        self._finish()
        self._write(state)

    def save_beside(self, state: dict[str, Any]) -> None:
        """Write a state, which nothing may change any more, while the caller goes on.

        An error, such as a full disk, is raised by the next call that reads or writes.
        """
        self._finish()
        self._writer = self._writer or ThreadPoolExecutor(1)
        self._written = self._writer.submit(self._write, state)

    def writing(self) -> bool:
        """Tell whether a state is still being written beside the caller."""
        return self._written is not None and not self._written.done()

    def load(self) -> dict[str, Any] | None:
        """Read the state into host memory; None if the file is missing, unreadable or has another key."""
        self._finish()
        if not self._path.is_file():  # a pipe would wait for a writer
            return None
        try:
            refuse_compressed(self._path)
            state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
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
        self._finish()
        self._path.unlink(missing_ok=True)
        if self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()

    def _write(self, state: dict[str, Any]) -> None:
        with replacing(self._path) as file:
            torch.save({"key": self._key, **state}, file)

    def _finish(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            written.result()
