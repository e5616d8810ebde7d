"""Predict the rows of tables, with a bundle of a model that learned from one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from clipfold.checks import require
from clipfold.manifest.read import read_manifest
from clipfold.manifest.table import ROW, SUFFIXES, read_rows
from clipfold.table.cells import CATEGORY
from clipfold.table.inputs import KNOWN, describe_rows
from clipfold.table.rows import Cells, content, feature, is_empty, read_features

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

_SHOWN = 5


@dataclass(slots=True)
class Rows:
    """Rows to predict.

    Args:
        cells: id -> column -> text.
        tables: id -> path of its table.
        labels: id -> label, of the rows whose label the table gives.
        groups: id -> group, of the rows whose group the table gives.
    """

    cells: dict[str, Cells] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def find_rows(bundle: "OpenBundle", names: Iterable[str]) -> Rows:
    """Read the tables that are named; the label may be missing.

    Args:
        bundle: A bundle of a model that learned from a table.
        names: Paths of tables. A row without an id is named by its number, of several tables by their path, too.

    Raises:
        ValueError: Something else is named, a table cannot be read or lacks a column, or two rows have one id.
    """
    several, found = list(names), Rows()
    require(bool(several), "tables", 0, "name a table")
    table = _table(bundle)
    for name in several:
        fit = name.lower().endswith(SUFFIXES) and Path(name).is_file()
        require(fit, "table", name, f"{bundle.name} predicts the rows of a table: name a file ending in {_suffixes()}")
        columns = {**table["names"], "path": ROW}
        videos = read_manifest(Path(name), columns, labelled=False)
        read = [row for _, row in read_rows(Path(name), {**columns, **{f"column {c}": c for c in table["columns"]}})]
        missing = [column for column in table["columns"] if column not in read[0]]
        if missing:
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            raise ValueError(
                f"{name} has no column {', '.join(map(repr, missing[:_SHOWN]))}{more}, which {bundle.name} learned "
                f"from, only {', '.join(map(repr, list(read[0])[:20]))}: add it, with empty cells where it is not known"
            )
        for video, row in zip(videos, read, strict=True):
            key = f"{name}: {video.id}" if len(several) > 1 else video.id
            require(key not in found.cells, f"{name}: id", key, "another row has it, too: name each table once")
            found.cells[key], found.tables[key] = row, name
            found.labels |= {key: video.label} if video.label else {}
            found.groups |= {key: video.group} if video.grouped else {}
    return found


def rows_of(bundle: "OpenBundle", frame: pd.DataFrame) -> Rows:
    """Take the rows of a data frame, named by its index.

    Raises:
        ValueError: It lacks a column, or two rows have one name.
    """
    columns = list(_table(bundle)["columns"])
    missing = [name for name in columns if name not in frame]
    require(not missing, "columns", list(map(str, frame.columns))[:20], f"add {', '.join(missing[:_SHOWN])}")
    require(frame.index.is_unique, "index", "not unique", "use reset_index(drop=True)")
    texts = {name: ["" if pd.isna(cell) else str(cell).strip() for cell in frame[name]] for name in columns}
    ids = list(map(str, frame.index))
    cells: dict[str, Cells] = {name: {c: texts[c][place] for c in columns} for place, name in enumerate(ids)}
    return Rows(cells=cells, tables=dict.fromkeys(ids, ""))


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Rows, as a bundle reads them.

    Args:
        facts: Of each row: `id`, `path`, `status`, `reason`, `seen`.
        features: Table of the features of those that can be predicted, by id.
    """

    facts: list[dict[str, Any]]
    features: pd.DataFrame


def predict_rows(bundle: "OpenBundle", rows: Rows) -> pd.DataFrame:
    """Predict rows of tables.

    Returns:
        A row for each, in their order, with the columns of `clipfold.delivery.predict.predict_videos`. One without any
        value is `empty`, one with a cell that is no number where numbers are expected `unreadable`. One with categories
        that the training data lack is predicted as if they were rare or missing, and `reason` names them.
    """
    prepared = prepare_rows(bundle, rows)
    names, inputs = [f"p_{each}" for each in bundle.classes], [f"input.{each}" for each in bundle.inputs]
    first = ["id", "path", "label", *names, "spread", "distance", "status", "reason", "seen", "bundle"]
    table = pd.DataFrame(prepared.facts, index=list(rows.cells)).assign(bundle=bundle.id)
    table = table.reindex(columns=[*first, *inputs]).astype({"label": object} | dict.fromkeys(inputs, "float64"))
    used = prepared.features.index
    if len(used):
        found = bundle.answers(bundle.probabilities(features=prepared.features))
        described = describe_rows(prepared.features, _table(bundle)["columns"], _table(bundle)["categories"])
        table.loc[used, "label"] = found.labels
        table.loc[used, names] = found.probabilities
        table.loc[used, "spread"] = found.spread
        table.loc[used, inputs] = described.to_numpy()
        table.loc[used, "distance"] = bundle.reference.distances(described[bundle.reference.names].to_numpy())
    return table.astype(dict.fromkeys((*names, "spread", "distance"), "float64")).reset_index(drop=True)


def prepare_rows(bundle: "OpenBundle", rows: Rows) -> PreparedRows:
    """Read the cells of rows."""
    kinds, categories = _table(bundle)["columns"], _table(bundle)["categories"]
    known = {name: set(each) for name, each in categories.items() if len(each) < KNOWN}
    facts, used, features = [], [], []
    for name, row in rows.cells.items():
        fact = {"id": name, "path": rows.tables[name], "status": "ok", "reason": "", "seen": False}
        try:
            values = read_features(row, kinds)
        except ValueError as error:
            fact |= {"status": "unreadable", "reason": str(error)}
        else:
            if is_empty(values.values()):
                fact |= {"status": "empty", "reason": "no cell has a value"}
            else:
                fact |= {"reason": _unknown(values, known), "seen": content(values)[:16] in bundle.seen}
                used.append(name)
                features.append(values)
        facts.append(fact)
    return PreparedRows(facts, pd.DataFrame(features, index=used, columns=list(map(feature, kinds))))


def _unknown(values: Mapping[str, Any], known: Mapping[str, set[str]]) -> str:
    """Name the categories that the training data lack."""
    new = {name: values[feature(name)] for name in known if values[feature(name)] not in {"", *known[name]}}
    shown = ", ".join(f"{name} = {value[:100]!r}" for name, value in list(new.items())[:_SHOWN])
    return f"not in the training data: {shown}" if new else ""


def golden_rows(bundle: "OpenBundle") -> Rows:
    """Make up rows for the golden test; none of the training data, which may not be shared."""
    table = _table(bundle)
    rows: dict[str, Cells] = {
        str(number): {
            name: _made_up(kind, number, table["categories"].get(name, [])) for name, kind in table["columns"].items()
        }
        for number in range(3)
    }
    return Rows(cells=rows, tables=dict.fromkeys(rows, ""))


def _made_up(kind: str, number: int, categories: Sequence[str]) -> str:
    if kind == CATEGORY:
        return categories[number % len(categories)] if categories else ""
    return f"{2000 + number}-01-01" if kind == "date" else str(number)


def _table(bundle: "OpenBundle") -> Mapping[str, Any]:
    require(bundle.table is not None, "bundle", bundle.name, "it predicts videos, not the rows of a table: name videos")
    assert bundle.table is not None
    return bundle.table


def _suffixes() -> str:
    return ", ".join(SUFFIXES)
