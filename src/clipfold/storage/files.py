"""Read and write results: `.npy` arrays that readers memory-map, Parquet tables, JSON.

Every file is renamed into place when it is complete, so that neither a reader nor a second writer left over from a
killed run ever sees a partial file.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from clipfold.storage.replace import replacing

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = npt.NDArray[Any]
PathLike: TypeAlias = str | Path

# NumPy has Python parse the header, which fails in Python 3.11 if two threads do (python/cpython issue 106905).
_OPENING = threading.Lock()
# A process forked while another thread opens an array would wait for ever.
os.register_at_fork(before=_OPENING.acquire, after_in_parent=_OPENING.release, after_in_child=_OPENING.release)


class ArrayWriter:
    """A writer of `.npy` files, row by row in constant memory; the number of rows need not be known in advance.

    Args:
        path: output file, which appears only when the block succeeds.
        shape: shape of one row.
        dtype: data type of the array.
    """

    def __init__(self, path: PathLike, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        self.rows = 0
        self._shape = tuple(shape)
        self._dtype = np.dtype(dtype)
        self._context = replacing(path)

    def __enter__(self) -> Self:
        self._file = self._context.__enter__()
        self._header_bytes = self._write_header()
        return self

    def append(self, row: Array) -> int:
        """Write the next row and return its index.

        Zeros at the end of a row, such as the steps that a short video lacks, are skipped: they become a hole in the
        file, which takes no disk on the usual filesystems and reads as zeros.

        Raises:
            ValueError: the row has another shape or dtype than the array.
        """
        if row.shape != self._shape or row.dtype != self._dtype:
            raise ValueError(f"row is {row.dtype}{list(row.shape)}, the array takes {self._dtype}{list(self._shape)}")
        data = row.tobytes()
        used = data.rstrip(b"\0")
        self._file.write(used)
        self._file.seek(len(data) - len(used), os.SEEK_CUR)
        self.rows += 1
        return self.rows - 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.truncate()  # the last row may end in a hole
            self._file.seek(0)
            length = self._write_header()
            assert length == self._header_bytes, "numpy pads the header so that the first axis can grow in place"
        self._context.__exit__(kind, error, traceback)

    def _write_header(self) -> int:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
        return self._file.tell()


class ArrayReader:
    """A reader of single rows of a `.npy` file that does not map it: memory use is only what is asked for.

    Mapped pages count as memory of the process that touched them, so an epoch over mapped shards would take their full
    size.

    Args:
        path: file of an array with at least two dimensions.

    Attributes:
        shape: shape of the array.
        dtype: data type of the array.
    """

    def __init__(self, path: PathLike) -> None:
        mapped = open_array(path)
        self.shape, self.dtype = mapped.shape, mapped.dtype
        self._offset = getattr(mapped, "offset", 0)
        self._path = path
        self._part_bytes = int(np.prod(self.shape[2:])) * self.dtype.itemsize

    def read(self, row: int, parts: Sequence[int], out: Array) -> None:
        """Read parts of a row into a contiguous array.

        Args:
            row: index on the first axis.
            parts: ascending indices on the second axis.
            out: array to fill, (parts, *shape[2:]).

        Raises:
            ValueError: the file ends too early.
        """
        target = out.reshape(-1).view(np.uint8).data
        done = 0
        with open(
            self._path, "rb", buffering=0
        ) as file:  # opened for each call: there may be more shards than allowed open files
            for first, count in _runs(parts):
                file.seek(self._offset + (row * self.shape[1] + first) * self._part_bytes)
                end = done + count * self._part_bytes
                while done < end:
                    got = file.readinto(target[done:end])
                    if not got:
                        raise ValueError(f"{self._path} is truncated before row {row}: remove it and run again")
                    done += got


def _runs(parts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Group adjacent indices into runs of (first, count).

    >>> list(_runs([0, 1, 2, 5, 7, 8]))
    [(0, 3), (5, 1), (7, 2)]
    """
    first = 0
    for i in range(1, len(parts) + 1):
        if i == len(parts) or parts[i] != parts[i - 1] + 1:
            yield parts[first], i - first
            first = i


def open_array(path: PathLike) -> Array:
    """Memory-map an array, read-only. An empty array cannot be mapped and is read.

    Raises:
        ValueError: the file is not a `.npy` file, is truncated, or holds Python objects.
    """
    with _OPENING, open(path, "rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def write_table(path: PathLike, rows: Iterable[Mapping[str, Any]] | pa.Table, schema: pa.Schema | None = None) -> None:
    """Write a Parquet table, given as rows with a schema or as a table."""
    if isinstance(rows, pa.Table):
        rows, schema = rows.to_batches(), rows.schema
    else:
        rows = _batches(rows, schema)
    with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)


def _batches(rows: Iterable[Mapping[str, Any]], schema: pa.Schema | None) -> Iterator[pa.RecordBatch]:
    """Convert rows in batches: converting all at once takes several times the memory of the table."""
    upcoming = iter(rows)
    while some := list(islice(upcoming, 200)):
        yield pa.RecordBatch.from_pylist(some, schema=schema)


def read_table(paths: PathLike | Sequence[PathLike], columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet table, or concatenate several of the same schema."""
    several = [paths] if isinstance(paths, str | Path) else paths
    selected = None if columns is None else list(columns)
    return pa.concat_tables([pq.ParquetFile(path).read(columns=selected) for path in several])


def read_frame(paths: PathLike | Sequence[PathLike], columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Read tables like `read_table`, as a data frame."""
    frame: pd.DataFrame = read_table(paths, columns).to_pandas()
    return frame


def write_json(path: PathLike, value: object) -> None:
    """Write indented JSON, readable for people too."""
    with replacing(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: PathLike) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_bytes())


def listed(paths: Iterable[PathLike]) -> list[str]:
    """Put the files that lists (`.list.json`, of one kind) name in the place of the lists, and sort all by name."""
    files: list[str] = []
    for path in map(str, paths):
        files += next(iter(read_json(path).values())) if path.endswith(".list.json") else [path]
    return sorted(files)
