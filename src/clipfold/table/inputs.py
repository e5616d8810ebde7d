"""Describe the rows of a table by numbers, to compare new rows with the training data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clipfold.table.cells import CATEGORY
from clipfold.table.rows import feature

MOST = 100
"""Most inputs: the first columns stand for the others."""
CATEGORIES = 10
"""Most categories of a column that are inputs: the most frequent."""
KNOWN = 1000
"""Most categories of a column that are remembered."""

_UNITS = {"number": "", "comma": "", "date": "days since 1970"}


def categories_of(table: pd.DataFrame, kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the categories of each column, the most frequent first, at most `KNOWN`, without empty ones."""
    counts = {
        name: table[feature(name)].value_counts().drop("", errors="ignore")
        for name, kind in kinds.items()
        if kind == CATEGORY
    }
    return {name: _first(count, KNOWN) for name, count in counts.items()}


def _first(counts: "pd.Series[int]", most: int) -> list[str]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))
    return [str(name) for name, _ in ordered[:most]]


def inputs_of(kinds: Mapping[str, str], categories: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the inputs and their units: the numbers of a column, or a 0 or 1 for each frequent category.

    >>> inputs_of({"height": "number", "eye": "category"}, {"eye": ["blue"]})
    {'table.height': '', 'table.eye = blue': '0 or 1'}
    """
    found: dict[str, str] = {}
    for name, kind in kinds.items():
        if len(found) >= MOST:
            break
        if kind == CATEGORY:
            found |= {_input(name, each): "0 or 1" for each in categories[name][:CATEGORIES]}
        else:
            found[feature(name)] = _UNITS[kind]
    return dict(list(found.items())[:MOST])


def describe_rows(
    table: pd.DataFrame, kinds: Mapping[str, str], categories: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Return the values of `inputs_of` for some rows, float64; NaN where a number is missing.

    Args:
        table: Features, see `clipfold.table.rows`.
        kinds: Column -> its kind.
        categories: Column of categories -> those of the training data.
    """
    wanted = inputs_of(kinds, categories)
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        if len(columns) >= MOST:
            break
        cells = table[feature(name)]
        if kind == CATEGORY:
            for each in categories[name][:CATEGORIES]:
                columns[_input(name, each)] = (cells == each).astype(np.float64)
        else:
            columns[feature(name)] = cells.astype(np.float64)
    return pd.DataFrame(columns, index=table.index)[list(wanted)]


def _input(column: str, category: str) -> str:
    return f"{feature(column)} = {category}"
