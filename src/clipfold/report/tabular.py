"""Prepare the facts of a table for the report."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from clipfold.report import dataset
from clipfold.storage.files import PathLike, read_table

SHOWN = 200
"""Most columns that the page lists."""
_CELLS = 8


def facts(features: Sequence[PathLike], rows: pd.DataFrame) -> dict[str, Any]:
    """Summarise the columns to learn from, and count equal rows.

    Args:
        features: Tables of features, by shard.
        rows: Table of rows, see `clipfold.table.equal.ROWS`.

    Returns:
        `columns`, see `_columns`, at most `SHOWN`; `count`, of all; `equal`, the number of rows that are equal to
        another; `copied`, whether there are more than chance explains.
    """
    table = read_table(features).to_pandas().drop(columns="id")
    usable = rows[rows.status == "ok"]
    return {
        "columns": _columns(table.iloc[:, :SHOWN]),
        "count": table.shape[1],
        "equal": int(usable.digest.duplicated(keep=False).sum()),
        "copied": bool(usable.content.duplicated().any()),
    }


def add_cells(cards: Sequence[dict[str, Any]], features: Sequence[PathLike]) -> None:
    """Add the first cells of its row to each card of the gallery, as `cells`: column and text."""
    table = read_table(features).to_pandas().set_index("id").iloc[:, :_CELLS]
    for card in cards:
        row = table.loc[card["id"]]
        card["cells"] = [(name.partition(".")[2], _text(value)) for name, value in row.items()]


def _text(value: Any) -> str:
    return value[:60] if isinstance(value, str) else f"{value:.6g}"


def _columns(features: pd.DataFrame) -> list[dict[str, Any]]:
    """Summarise the columns of a table that models learn from.

    Returns:
        Of each, `name`, `missing` (share), and `values`: of numbers median, minimum and maximum, of categories the
        shares of the most frequent and `different`, their number.
    """
    found = []
    for name in features.columns:
        column = features[name]
        if pd.api.types.is_numeric_dtype(column):
            facts: dict[str, Any] = {"values": dict(column.agg(["median", "min", "max"])), "different": None}
        else:
            column = column.replace("", None)
            facts = {"values": dataset.shares(column.dropna()), "different": column.nunique()}
        found.append({"name": name.partition(".")[2], "missing": float(column.isna().mean())} | facts)
    return found
