"""Read the rows of a table into columns of numbers and categories."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipfold.manifest.read import read_manifest
from clipfold.manifest.table import read_rows
from clipfold.storage.files import PathLike, write_table
from clipfold.table.cells import CATEGORY, MEANING, is_missing, read_cell
from clipfold.table.columns import join_hashes, row_hash

GROUP = "table"
"""The group of features that a table's columns are: `table.NAME`."""

logger = logging.getLogger(__name__)

Cells = Mapping[str, str]


def feature(column: str) -> str:
    """Return the name of a column among the features."""
    return f"{GROUP}.{column}"


def write_shard(
    manifest: PathLike,
    columns: Mapping[str, str],
    kinds: Mapping[str, str],
    ids: Sequence[str],
    digest: str,
    output: PathLike,
) -> None:
    """Write the features of some rows of a table.

    Args:
        manifest: The table.
        columns: Its own names of columns, see `read_manifest`.
        kinds: Column to learn from -> its kind.
        ids: Rows to write.
        digest: Digest of their cells, see `clipfold.table.columns.Table.digest`.
        output: Table with `id` and `table.COLUMN`: float64, NaN where the cell is missing, or text.

    Raises:
        ValueError: The table was edited since the run was planned.
    """
    names = [video.id for video in read_manifest(Path(manifest), columns)]
    read = dict(zip(names, (row for _, row in read_rows(Path(manifest), columns)), strict=True))
    cells = {name: read[name] for name in ids if name in read}
    known = [kind for row in cells.values() for kind in kinds if kind not in row]
    if len(cells) < len(ids) or known or join_hashes({n: row_hash(row, kinds) for n, row in cells.items()}) != digest:
        raise ValueError(f"{manifest} was edited since the run started: run again")
    write_table(output, [{"id": name} | read_features(row, kinds) for name, row in cells.items()], schema(kinds))
    logger.info("%d columns of %d rows", len(kinds), len(cells))


def read_features(row: Cells, kinds: Mapping[str, str]) -> dict[str, float | str]:
    """Return `table.COLUMN` -> value of a row.

    Raises:
        ValueError: A cell is of another kind; the message names the column and the cell.
    """
    values: dict[str, float | str] = {}
    for name, kind in kinds.items():
        try:
            values[feature(name)] = read_cell(kind, row[name])
        except ValueError:
            raise ValueError(f"{name} is {row[name][:100]!r}: it must be {MEANING[kind]}") from None
    return values


def schema(kinds: Mapping[str, str]) -> pa.Schema:
    """Return the columns of the table of features."""
    types = {feature(name): pa.string() if kind == CATEGORY else pa.float64() for name, kind in kinds.items()}
    return pa.schema({"id": pa.string(), **types})


def is_empty(values: Iterable[float | str]) -> bool:
    """Return whether a row has no value at all."""
    return all(is_missing(value) if isinstance(value, str) else value != value for value in values)


def content(values: Mapping[str, Any]) -> str:
    """Hash the values of a row, 32 hexadecimal digits: equal rows have the same, however their numbers are written."""
    known = [None if value != value else value for value in values.values()]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=16).hexdigest()
