"""Segments: rows of the manifest that name a part of a file, from one time to another. Standard library only."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import inf
from typing import TYPE_CHECKING

from clipfold.checks import require

if TYPE_CHECKING:
    from clipfold.manifest.table import Row

TIMES = ("start", "end")
"""Columns of a segment's begin and end."""

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_CLOCK = re.compile(r"(?:(\d+):([0-5]?\d)|(\d+)):([0-5]?\d(?:[.,]\d*)?)")
_SHOWN = 5
_SAME = 1e-6
"""Tolerance in seconds, as for the frames of a segment."""

Times = tuple[float | None, float | None]


def read_times(where: str, row: "Row", names: Mapping[str, str]) -> Times:
    """Read begin and end of a row's segment, in seconds; None for an empty cell.

    Raises:
        ValueError: A cell holds no time, or the end is not after the start; the message names the remedy.
    """
    start, end = (_seconds(f"{where}, {names[c]}", c, row.get(names[c], "")) if c in names else None for c in TIMES)
    if end is not None:
        after = f"use an end after the start, which is {start or 0:g} s, or leave the cell empty for the video's end"
        require(end > (start or 0), f"{where}, {names['end']}", row[names["end"]], after)
    return start, end


def _seconds(where: str, column: str, cell: str) -> float | None:
    if not cell:
        return None
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if clock := _CLOCK.fullmatch(cell):
        hours, minutes, more, seconds = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes or more) + float(seconds.replace(",", "."))
    negative = cell.startswith("-") and _NUMBER.fullmatch(cell[1:])
    require(not negative, where, cell, "use 0 or more seconds from the video's first frame, or leave the cell empty")
    raise ValueError(
        f"{where} is {cell!r}: write seconds (62.5) or hh:mm:ss.mmm (0:01:02.5) from the video's first frame; if the "
        f"column is not the {column} of segments, rename it, or give the name of the one that is in the config "
        f"(columns: {{{column}: NAME}}, or '' if there is none)"
    )


def segment_id(path: str, times: Times) -> str:
    """Return the id of a row without one: the path, and the times of a segment.

    >>> segment_id("a.mp4", (None, None)), segment_id("a.mp4", (1.5, 20.0)), segment_id("a.mp4", (7.0, None))
    ('a.mp4', 'a.mp4@1.5-20', 'a.mp4@7-end')
    """
    start, end = times
    if start is None and end is None:
        return path
    return f"{path}@{_text(start or 0.0)}-{'end' if end is None else _text(end)}"


def _text(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


def check_labels(where: str, segments: Iterable[tuple[str, int, str, Times]]) -> None:
    """Check that no moment of a file has two labels.

    Args:
        where: The table, for the message.
        segments: File, row, label and times of each row; rows without a label are ignored.

    Raises:
        ValueError: Segments with different labels overlap; the message names the first pairs of rows.
    """
    of_file: dict[str, list[tuple[float, float, int, str]]] = defaultdict(list)
    for file, row, label, (start, end) in segments:
        if label:
            of_file[file].append((start or 0.0, inf if end is None else end, row, label))
    found: list[str] = []
    for file, rows in of_file.items():
        latest: dict[str, tuple[float, int]] = {}  # label -> the latest end so far, and its row
        for start, end, row, label in sorted(rows):
            for other, (until, before) in latest.items():
                if other != label and until > start + _SAME:
                    shared = f"{start:g} s to {min(until, end):g} s of {file!r}"
                    found.append(f"rows {before} ({other!r}) and {row} ({label!r}) share {shared}")
            latest[label] = max(latest.get(label, (0.0, row)), (end, row))
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ValueError(
            f"{where}: segments with different labels overlap, so the same frames would teach both: "
            f"{'; '.join(found[:_SHOWN])}{more}; change their times, so that one ends where the other starts, or "
            "remove rows"
        )
