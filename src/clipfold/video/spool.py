"""Hand the views of many parts from a worker to the job by files, so that neither holds more than one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from clipfold.storage.files import ArrayReader, ArrayWriter
from clipfold.video.container import Unusable
from clipfold.video.decode import Decoded

if TYPE_CHECKING:
    from clipfold.video.parts import Part
    from clipfold.video.views import View


@dataclass(frozen=True, slots=True)
class Spooled:
    """The views of the parts of a file, on disk.

    Args:
        prefix: begin of the files' names; a view's array is `PREFIX-VIEW.npy`.
        rows: id of a part -> its row in the arrays and its facts, or why it has none.
    """

    prefix: Path
    rows: Mapping[str, tuple[int, dict[str, Any]] | Unusable]

    def of(self, id: str, views: Mapping[str, View]) -> Decoded | Unusable:
        """Read what was found of a part."""
        found = self.rows[id]
        if isinstance(found, Unusable):
            return found
        row, facts = found
        arrays = {name: np.empty(view.shape, np.uint8) for name, view in views.items()}
        for name, array in arrays.items():
            ArrayReader(_file(self.prefix, name)).read(row, range(len(array)), array)
        return Decoded(arrays, facts)

    def remove(self, views: Iterable[str]) -> None:
        """Remove the files."""
        for name in views:
            _file(self.prefix, name).unlink()


def spool(results: Iterable[tuple[Part, Decoded | Unusable]], views: Mapping[str, View], prefix: Path) -> Spooled:
    """Write the views of a file's parts as they come.

    Args:
        results: parts with what was decoded of them.
        views: the views by name.
        prefix: see `Spooled`.
    """
    rows: dict[str, tuple[int, dict[str, Any]] | Unusable] = {}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ArrayWriter(_file(prefix, name), view.shape, np.uint8))
            for name, view in views.items()
        }
        for part, result in results:
            if isinstance(result, Unusable):
                rows[part.id] = result
            else:
                (row,) = {writer.append(result.arrays[name]) for name, writer in writers.items()}
                rows[part.id] = row, result.facts
    return Spooled(prefix, rows)


@contextmanager
def spool_folder(beside: Path) -> Iterator[Path]:
    """Make a folder for spooled views; one that a killed job left is removed first."""
    prefix = f".{beside.name}.parts-"
    beside.parent.mkdir(parents=True, exist_ok=True)
    for leftover in beside.parent.glob(f"{prefix}*"):
        rmtree(leftover, ignore_errors=True)
    with TemporaryDirectory(prefix=prefix, dir=beside.parent) as folder:
        yield Path(folder)


def _file(prefix: Path, view: str) -> Path:
    return prefix.with_name(f"{prefix.name}-{view}.npy")
