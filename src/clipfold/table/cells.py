"""Read single cells: numbers, dates and categories, as people write them. Standard library only."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from clipfold.manifest.names import plain

MISSING = frozenset({"", "-", "?", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "none"})
"""Texts, in lower case, that stand for a missing number or date. As categories, they are categories like others."""

LARGEST = 1e100
"""Largest number to compute with: beyond it, squares overflow. Larger and infinite numbers count as missing."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE | re.ASCII)
_COMMA = re.compile(r"[-+]?\d+(,\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[-+]\d\d:?\d\d)?)?", re.ASCII)


def is_missing(text: str) -> bool:
    """Return whether a cell of numbers or dates is empty, in one of the usual ways to write that."""
    return text.lower() in MISSING


def number(text: str) -> float:
    """Read a number; NaN if it is missing, infinite or beyond `LARGEST`.

    >>> number("1.5e3"), number("N/A"), number("-inf")
    (1500.0, nan, nan)

    Raises:
        ValueError: It is none.
    """
    if is_missing(text):
        return math.nan
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    return value if abs(value) <= LARGEST else math.nan


def comma_number(text: str) -> float:
    """Read a number with a decimal comma, else as `number`.

    >>> comma_number("5,1")
    5.1
    """
    return number(text.replace(",", ".") if _COMMA.fullmatch(text) else text)


def date(text: str) -> float:
    """Read a date or time (ISO 8601) as days since 1970-01-01 UTC; NaN if it is missing.

    >>> date("1970-01-02"), date("1970-01-02T12:00Z")
    (1.0, 1.5)

    Raises:
        ValueError: It is none.
    """
    if is_missing(text):
        return math.nan
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    found = datetime.fromisoformat(text)
    known = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return (known - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / 86400


READERS: Mapping[str, Callable[[str], float]] = {"number": number, "comma": comma_number, "date": date}
"""Kind of a column of numbers -> function that reads a cell."""

CATEGORY = "category"
KINDS = (*READERS, CATEGORY)
MEANING = {
    "number": "a number",
    "comma": "a number with a decimal comma",
    "date": "a date such as 2024-01-31",
}


def reads(kind: str, text: str) -> bool:
    """Return whether a cell is of a kind of numbers."""
    try:
        READERS[kind](text)
    except (ValueError, OverflowError):
        return False
    return True


def with_thousands(text: str) -> bool:
    """Return whether a comma in a number may be one of thousands, as in `1,234`."""
    return bool(_THOUSANDS.fullmatch(text))


def read_cell(kind: str, text: str) -> float | str:
    """Read a cell of a column of a kind; a category is a `plain` name, empty if it is missing.

    Raises:
        ValueError: The cell is of another kind.
    """
    return plain(text) if kind == CATEGORY else READERS[kind](text)
