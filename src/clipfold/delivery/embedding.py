"""Measure how far a video is from the training data in the space of the encoder that the model looks through.

Two videos of the same brightness, size and motion may show different things, which the inputs do not tell. Embeddings
are scaled to unit length, and the distance to the data is the mean of that to the nearest training videos (Sun et al.
2022, Out-of-Distribution Detection with Deep Nearest Neighbors), divided by what is usual, as in
`clipfold.delivery.distance`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clipfold.checks import require
from clipfold.delivery.distance import MOST, NEAREST, USUAL
from clipfold.storage.files import Array, write_table

TABLE = "embeddings.parquet"
"""A row for each row of the reference, a column for each number of the embedding."""
COLUMN = "embedding_distance"
UNIT = "of what the encoder sees, from the training videos; 1 is unusual"
WIDEST = 4096
"""Most numbers of an embedding."""
_AT_ONCE = 256


class Embedded:
    """The embeddings of training videos, to measure distances from.

    Args:
        embeddings: Float of (videos, width).
        groups: The group of each.

    Attributes:
        own: The training videos' distances to videos of other groups, float64 of (videos,).
    """

    def __init__(self, embeddings: Array, groups: Sequence[Any]) -> None:
        self._points = _unit(embeddings)
        codes = np.unique(np.asarray(groups, str), return_inverse=True)[1]
        self._usual = 1.0
        self.own = self._distances(self._points, codes[:, None] == codes)
        self._usual = max(float(np.percentile(self.own, USUAL)), 1e-3)
        self.own /= self._usual

    def distances(self, embeddings: Array) -> Array:
        """Measure new videos.

        Args:
            embeddings: Float of (videos, width).

        Returns:
            float64 of (videos,), 1 where only 5 % of the training videos are as far from other groups.
        """
        return self._distances(_unit(embeddings))

    def _distances(self, points: Array, barred: Array | None = None) -> Array:
        found = np.empty(len(points))
        for first in range(0, len(points), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            squares = np.maximum(2 - 2 * points[part] @ self._points.T, 0)
            if barred is not None:
                squares[barred[part]] = np.inf
            nearest = np.sqrt(np.sort(squares, axis=1)[:, :NEAREST])
            found[part] = np.nanmean(np.where(np.isfinite(nearest), nearest, np.nan), axis=1)
        return np.asarray(found / self._usual)


def _unit(embeddings: Array) -> Array:
    points = np.asarray(embeddings, np.float64)
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12))


def write_embeddings(folder: Path, embeddings: Array) -> None:
    """Write the table into the folder of a bundle."""
    columns = {f"e{number}": column for number, column in enumerate(embeddings.astype(np.float32).T)}
    write_table(folder / TABLE, pa.table(columns))


def read_embeddings(folder: Path, rows: int) -> Array:
    """Read the table that `write_embeddings` wrote, which may come from strangers.

    Args:
        folder: Folder of the bundle.
        rows: Rows of its reference.

    Returns:
        float32 of (videos, width).

    Raises:
        ValueError: The table cannot be read, or holds other than finite numbers for each row.
    """
    try:
        with pq.ParquetFile(folder / TABLE) as file:
            names, kinds = file.schema_arrow.names, {*file.schema_arrow.types}
            require(0 < len(names) <= WIDEST, "number of columns", len(names), f"use 1 to {WIDEST}")
            require(kinds == {pa.float32()}, "types of columns", [*map(str, kinds)], "use float")
            found = file.metadata.num_rows
            require(found == rows <= MOST, "number of rows", found, f"use one for each of the {rows} of the reference")
            table: Array = np.column_stack([column.to_numpy() for column in file.read().columns])
        require(bool(np.isfinite(table).all()), "a number", "infinite", "use finite ones")
        return table
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{TABLE} cannot be used ({error}): get the bundle again") from None
