"""Choose the columns of a table to learn from, and read their cells. Standard library only: every start runs this.

All is decided once, from the whole table and without a look at the classes, but for one check: a column that is the
class in other words stops the run.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipfold.checks import require, suggest
from clipfold.manifest.groups import is_group
from clipfold.manifest.read import OPTIONAL, Video
from clipfold.manifest.table import ROW, Row, read_rows
from clipfold.table.cells import CATEGORY
from clipfold.table.kinds import kind_of
from clipfold.table.suspects import is_constant, suspicion

if TYPE_CHECKING:  # its values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import TableSettings

NAMED = ("label", "id", "group", "split")
"""Columns that say something about a row, and are no features."""

MOST = 10_000
"""Most columns to learn from."""

_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What is known of a table before the first job.

    Args:
        columns: Column to learn from -> its kind, one of `clipfold.table.cells.KINDS`, in the order of the table.
        left_out: Column that is left out without being asked -> why.
        digests: Id -> hash of the row's cells.
    """

    columns: Mapping[str, str]
    left_out: Mapping[str, str]
    digests: Mapping[str, str]

    def digest(self, ids: Iterable[str]) -> str:
        """Hash the cells of some rows: with another one, their features are made again."""
        return join_hashes({name: self.digests[name] for name in ids})


def table_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the names of columns for `read_manifest`, for a table, whose rows name no files."""
    return {**columns, "path": ROW, **dict.fromkeys(OPTIONAL, "")}  # times of segments are numbers here


def plan_table(manifest: Path, columns: Mapping[str, str], settings: "TableSettings", videos: Sequence[Video]) -> Table:
    """Choose the columns and find out what they hold.

    Args:
        manifest: The table, which `read_manifest` has checked.
        columns: Its names for `NAMED`, where they differ.
        settings: What the config says of it.
        videos: Its rows, in their order.

    Raises:
        ValueError: A column that the config names is not there, there is nothing to learn from, or a column is none to
            learn from; the message names the columns, and the remedy.
    """
    read = list(read_rows(manifest, table_columns(_named(columns))))
    names = _chosen(manifest, read[0][1], columns, settings)
    rows, labels = [number for number, _ in read], [video.label for video in videos]
    kinds, left_out, wrong = {}, {}, {}
    for name in names:
        cells = [row[name] for _, row in read]
        if is_constant(cells):
            left_out[name] = "the same in all rows"
            continue
        try:
            kinds[name] = CATEGORY if name in settings.categories else kind_of(cells, rows)
        except ValueError as error:
            wrong[name] = str(error)
            continue
        if name not in settings.columns and (why := suspicion(kinds[name], cells, labels)):
            wrong[name] = why
    if wrong:
        raise ValueError(_complaint(manifest, wrong))
    require(bool(kinds), f"{manifest}: columns to learn from", names, "it needs one or more that differ between rows")
    digests = {video.id: row_hash(row, kinds) for video, (_, row) in zip(videos, read, strict=True)}
    return Table(columns=kinds, left_out=left_out, digests=digests)


def _named(columns: Mapping[str, str]) -> dict[str, str]:
    return {column: columns.get(column, column) for column in NAMED}


def _chosen(manifest: Path, header: Row, columns: Mapping[str, str], settings: "TableSettings") -> list[str]:
    """Return the names of the columns to look at, in the order of the table."""
    said = {*_named(columns).values(), ROW}
    others = [name for name in header if name not in said and not is_group(name, _named(columns)["group"])]
    for key in ("columns", "ignore", "categories"):
        for name in getattr(settings, key):
            if name not in others:
                what = "it is the column of labels, ids, groups or splits" if name in said else suggest(name, others)
                raise ValueError(f"table.{key}: {manifest} has no column {name!r} to learn from: {what}")
    names = [name for name in others if (name in settings.columns or not settings.columns)]
    names = [name for name in names if name not in settings.ignore]
    require(len(names) <= MOST, f"{manifest}: number of columns", len(names), f"use at most {MOST}: name table.columns")
    for name in names:
        require(name.isprintable() and len(name) <= 200, f"{manifest}: column", name[:200], "give it a shorter name")
    return names


def _complaint(manifest: Path, wrong: Mapping[str, str]) -> str:
    shown = [f"column {name!r} {why}" for name, why in list(wrong.items())[:_SHOWN]]
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    ignored = ", ".join(json.dumps(name, ensure_ascii=False) for name in wrong)
    return (
        f"{manifest}: {'; '.join(shown)}{more}. Mend them, or leave them out (table: {{ignore: [{ignored}]}}). A "
        "column that names the rows or their groups can be the id or group (columns: {id: NAME}); one that you want to "
        "learn from as it is belongs in the list table.columns"
    )


def row_hash(row: Row, kinds: Iterable[str]) -> str:
    """Hash the cells of a row to 16 hexadecimal digits."""
    return hashlib.blake2b(json.dumps([row[name] for name in kinds]).encode(), digest_size=8).hexdigest()


def join_hashes(hashes: Mapping[str, str]) -> str:
    """Hash several rows, id -> hash, in any order."""
    return hashlib.blake2b(json.dumps(sorted(hashes.items())).encode(), digest_size=8).hexdigest()
