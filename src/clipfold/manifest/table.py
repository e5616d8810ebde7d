"""Read a table as people save it: separators, encodings, headers. Standard library only, but for Parquet."""

import csv
import gzip
import io
import re
import shlex
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clipfold.checks import require
from clipfold.manifest.names import plain

LARGEST = 512 * 2**20
"""Most bytes of a table that is unpacked."""

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet")

_SEPARATORS = ",;\t|"
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_FILE_NAME = re.compile(r"\.[A-Za-z0-9]{2,4}(\s|$)")

ROW = "\0row"
"""In `columns`, the name for `path` in a table whose rows name no files: each is named by its number, as `row 2`."""

Row = dict[str, str]


def read_rows(table: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a table, with the number of the line on which each begins (the header is row 1).

    A text table may be separated by commas, semicolons, tabs or bars, and be packed by gzip. Empty rows and unnamed
    columns without values are left out, missing cells are empty. Blanks around a cell are removed, since 'fake ' would
    be another class, except in the column `path`: names of files may have them.

    Args:
        table: A file with one of `SUFFIXES`, in any case.
        columns: Column -> its name in the table, which may differ in case there; `path` (or `ROW` for it) and `label`
            among them.

    Raises:
        ValueError: The table cannot be read, has no header, or its columns have no name or the same; the message names
            the row or the column, and the remedy.
    """
    suffix = next((each for each in SUFFIXES if table.name.lower().endswith(each)), None)
    require(suffix is not None, "manifest", str(table), f"use a table in one of the forms {', '.join(SUFFIXES)}")
    rows = _parquet_rows(table) if suffix == ".parquet" else _text_rows(table, columns)
    _, cells = next(rows, (1, []))
    header = _header(table, cells, columns)
    path, width = columns["path"], len(header)
    at = header.index(path) if path in header else width + LARGEST  # beyond any cell
    unnamed = [place for place, name in enumerate(header) if not name]
    for number, cells in rows:
        stripped = [cell.strip() for cell in cells]
        if not any(stripped):
            continue
        for place, cell in enumerate(stripped[width:]):
            if cell:
                raise ValueError(
                    f"{table}, row {number}: more cells than the header has ({cell!r} is in column "
                    f"{width + place + 1}); quote cells with separators"
                )
        for place in unnamed:
            if stripped[place : place + 1] and stripped[place]:
                raise ValueError(
                    f"{table}, row {number}: {cells[place]!r} is in column {place + 1}, which has no name: name it in "
                    "the header, or remove it (pandas writes its index so: use to_csv(..., index=False))"
                )
        row = dict(zip(header, stripped + [""] * (width - len(stripped)), strict=False))
        if at < len(cells):
            row[path] = cells[at]
        row.pop("", None)
        yield number, row | {ROW: f"row {number}"} if path == ROW else row


def _header(table: Path, cells: list[str], columns: Mapping[str, str]) -> list[str]:
    """Return the names of the columns, in the spelling of `columns` where they differ only in case."""
    names = [plain(cell) for cell in cells]
    spelled = {plain(name).casefold(): name for name in columns.values() if plain(name) not in names}
    header = [spelled.get(name.casefold(), name) for name in names]
    for name, count in Counter(header).items():
        if name and count > 1:
            raise ValueError(f"{table} has more than one column {name!r}: rename or remove one")
    if columns["path"] not in (ROW, *header) and any(_FILE_NAME.search(name) for name in names):
        wanted = [columns["path"], columns["label"], *(f"column{n}" for n in range(3, len(cells) + 1))]
        name = shlex.quote(str(table))
        rest = f"cat {name}" if len(cells) > 1 else rf"sed -E 's/[[:space:]]+([^[:space:]]+)$/,\1/' {name}"
        raise ValueError(
            f"{table} has no header: its first row is {', '.join(names)}; name its columns, as by "
            f"(echo {','.join(wanted)}; {rest}) > named.csv"
        )
    return header


def _parquet_rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    import pyarrow as pa  # heavy, and needed only here
    import pyarrow.parquet as pq

    try:
        data = pq.read_table(table)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{table} cannot be read: {error}") from None
    yield 1, data.column_names

    def text(cell: Any) -> str:
        return "" if cell is None or cell != cell else str(cell)

    columns = [column.to_pylist() for column in data.columns]
    for number, cells in enumerate(zip(*columns, strict=True), 2):
        yield number, list(map(text, cells))


def _text_rows(table: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of the header, then of each row, with their numbers."""
    file = io.StringIO(_text(table), newline="")
    separator = ""
    skipped, header, start = 0, "", 0
    for line in file:
        if line.lower().startswith("sep=") and line[4:5].strip():
            separator = line[4]
        elif line.strip() and not (
            line.startswith("#") and not _known(line, _separator(table, line, columns), columns)
        ):
            header = line
            break
        skipped += 1
        start = file.tell()
    separator = separator or _separator(table, header, columns)
    blank_follows = not re.search(re.escape(separator) + "(?! )", header.rstrip())
    file.seek(start)
    rows = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=blank_follows)
    number = skipped + 1
    try:
        for cells in rows:
            if cells:
                yield number, [cells[0].removeprefix("#"), *cells[1:]] if number == skipped + 1 else cells
            number = skipped + rows.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{table}, row {number}, cannot be read ({error}): close each quote, and double a quote inside a cell"
        ) from None


def _separator(table: Path, header: str, columns: Mapping[str, str]) -> str:
    """Choose the separator that shows most of the wanted columns, then most columns; a comma or tab in doubt."""
    usual = "\t" if ".tsv" in table.name.lower() else ","
    return max(_SEPARATORS, key=lambda each: (_known(header, each, columns), header.count(each), each == usual))


def _known(header: str, separator: str, columns: Mapping[str, str]) -> int:
    """Count the wanted columns in a header."""
    names = {plain(name.strip(' "')).casefold() for name in header.removeprefix("#").split(separator)}
    return len(names & {plain(name).casefold() for name in columns.values()})


def _text(table: Path) -> str:
    """Read a text, packed or not, in the encoding that its first bytes name, else in UTF-8."""
    packed = table.name.lower().endswith(".gz")
    try:
        with gzip.open(table) if packed else open(table, "rb") as file:
            data = file.read(LARGEST + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{table} cannot be unpacked ({error}): it is cut or damaged, make it again") from None
    require(len(data) <= LARGEST, f"{table}, bytes", len(data), f"more than {LARGEST}: save it as Parquet")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise ValueError(f"{table} is cut or no UTF-16 at byte {error.start}: save it again as UTF-8") from None
        show = "zcat" if packed else "cat"
        name = shlex.quote(str(table))
        raise ValueError(
            f"{table} is not UTF-8 at byte {error.start}: save it as UTF-8; if Windows or Excel wrote it, by "
            f"{show} {name} | iconv -f WINDOWS-1252 -t UTF-8 > utf8.csv"
        ) from None
