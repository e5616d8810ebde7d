"""Find columns that no model should learn from: ids, row numbers, free text, the class in other words. Pure.

Standard library only.
"""

from collections.abc import Sequence
from itertools import pairwise

from clipfold.table.cells import CATEGORY, is_missing

_LEAST = 10  # rows from which chance explains no pattern
_FREE_TEXT = 0.5  # share of different texts
_FREE_TEXTS = 100


def is_constant(cells: Sequence[str]) -> bool:
    """Return whether all cells are the same, or all are missing."""
    return len(set(cells)) <= 1 or all(map(is_missing, cells))


def suspicion(kind: str, cells: Sequence[str], labels: Sequence[str]) -> str:
    """Say why a column looks like none to learn from; empty if it does not.

    Args:
        kind: Kind of the column.
        cells: Text of each cell.
        labels: Class of each row, in the same order; empty where it is not known.
    """
    rows, distinct = len(cells), set(cells)
    if rows < _LEAST:
        return ""
    if kind == CATEGORY and len(distinct) == rows:
        return "has another text in each row: an id or free text"
    if kind == CATEGORY and len(distinct) > max(_FREE_TEXTS, _FREE_TEXT * rows):
        return f"has {len(distinct)} different texts in {rows} rows: free text or names"
    if kind == "number" and _counts(cells):
        return "counts the rows"
    pairs = {(cell, label) for cell, label in zip(cells, labels, strict=True) if label}
    classes = {label for _, label in pairs}
    if len(pairs) == len(classes) == len({cell for cell, _ in pairs}) > 1:
        return "tells the class of every row: it is the label in other words"
    return ""


def _counts(cells: Sequence[str]) -> bool:
    """Return whether each cell is the one before, plus or minus one."""
    if not all(text.lstrip("-").isdecimal() for text in cells):
        return False
    steps = {int(after) - int(before) for before, after in pairwise(cells)}
    return steps in ({1}, {-1})
