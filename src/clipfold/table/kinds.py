"""Decide what a column holds, by its text and without a look at the classes. Pure; standard library only."""

from collections.abc import Sequence

from clipfold.manifest.names import LONGEST
from clipfold.table.cells import CATEGORY, MEANING, READERS, is_missing, reads, with_thousands

FEW = 20
"""Numbers that a column of codes, with letters in some, may have."""

_MOSTLY = 0.9  # share of numbers from which the other cells are taken for mistakes


def kind_of(cells: Sequence[str], rows: Sequence[int]) -> str:
    """Return the kind of a column, one of `KINDS`: numbers or dates if all cells are or are missing, else categories.

    Args:
        cells: Text of each cell.
        rows: Number of the row of each, for messages.

    Raises:
        ValueError: Most cells are numbers, but not all; a comma may be one of decimals or of thousands; or a text is
            too long or not printable to be a category. The message says what the column is and where.
    """
    distinct = dict.fromkeys(cells)
    present = [text for text in distinct if not is_missing(text)]
    for kind in READERS:
        if present and all(reads(kind, text) for text in present):
            commas = [text for text in present if "," in text]
            if commas and all(map(with_thousands, commas)):
                raise ValueError(f"may be thousands or decimals, such as {commas[0]!r}: write it without the comma")
            return kind
    for kind, meaning in MEANING.items():
        good = {text for text in present if reads(kind, text)}
        of_kind = sum(text in good for text in cells)
        if len(good) > FEW and of_kind >= _MOSTLY * sum(not is_missing(text) for text in cells):
            other = next(text for text in present if text not in good)
            where = rows[list(cells).index(other)]
            raise ValueError(f"is {meaning} in {of_kind} rows, but {other[:40]!r} in row {where}: correct it")
    for text in present:
        if len(text) > LONGEST or not text.isprintable():
            where = rows[list(cells).index(text)]
            what = f"a text of {len(text)} characters" if len(text) > LONGEST else "a text with control characters"
            raise ValueError(f"has {what} in row {where}, which is no category")
    return CATEGORY
