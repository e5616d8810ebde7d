"""Draw scores over time in a space that does not grow with the length of the video."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from clipfold.delivery.segments import Segment
from clipfold.delivery.timeline import Array, Timeline

COLUMNS = 1000
"""Columns of a drawing, which bound its size whatever the length of the video."""

SEEN = 4
"""Columns that can be seen on a phone, where the drawing is 300 pixels wide."""

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Steps of the time axis in seconds."""


def lane(timeline: Timeline, label: str, found: Sequence[Segment], extent: float) -> dict[str, Any]:
    """Draw the scores of a class, in a picture of 1000 by 100 units."""
    edges, _ = timeline.steps
    score = timeline.score(label)
    step = None if np.isnan(score).all() else int(np.nanargmax(score))
    heights = columns(edges, score, extent)
    return {
        "label": label,
        "count": len(found),
        "peak": None if step is None else float(score[step]),
        "peak_time": None if step is None else float(edges[step] + edges[step + 1]) / 2,
        "line": "".join(_stairs(first, heights[first:stop]) for first, stop in _runs(~np.isnan(heights))),
        "area": "".join(
            f"M{first} 100V{_height(heights[first])}{_stairs(first, heights[first:stop], move=False)}V100Z"
            for first, stop in _runs(~np.isnan(heights))
        ),
        "unknown": [(first, stop - first) for first, stop in _runs(np.isnan(heights))],
        "shaded": list(_shaded(found, extent)),
    }


def columns(edges: Array, score: Array, extent: float, count: int = COLUMNS) -> Array:
    """Reduce scores over time to the columns of a drawing, by the highest: no peak is lost.

    Args:
        edges: Edges of the steps in seconds, (steps + 1,).
        score: (steps,), NaN where nothing is known.
        extent: Seconds that the drawing shows, from 0.
        count: Columns.

    Returns:
        The highest score of the steps that a column touches, (count,); NaN where there is none.
    """
    bounds = np.linspace(0, extent, count + 1)
    first = np.maximum(np.searchsorted(edges, bounds[:-1], "right") - 1, 0)
    stop = np.searchsorted(edges, bounds[1:], "left")
    return np.array([np.fmax.reduce(score[a:b], initial=np.nan) for a, b in zip(first, stop, strict=True)])


def _runs(mask: Array) -> Iterator[tuple[int, int]]:
    """Yield the first index of each run of true values, and the index after its last."""
    for first, stop in np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]))).reshape(-1, 2):
        yield int(first), int(stop)


def _height(score: float) -> str:
    return f"{100 * (1 - score):.1f}".removesuffix(".0")


def _stairs(first: int, heights: Array, move: bool = True) -> str:
    """Draw columns as a line of steps, each run of equal ones as one."""
    texts = [_height(score) for score in heights]
    parts = [f"M{first} {texts[0]}"] if move else []
    for i, (text, following) in enumerate(zip(texts, [*texts[1:], None], strict=True), first + 1):
        if text != following:
            parts.append(f"H{i}" if following is None else f"H{i}V{following}")
    return "".join(parts)


def _shaded(found: Sequence[Segment], extent: float) -> Iterator[tuple[float, float]]:
    """Yield begin and width of what is shaded, at least `SEEN` columns wide; what touches there is one."""
    spans: list[list[float]] = []
    for segment in sorted(found, key=lambda each: each.start):
        begin = min(COLUMNS * segment.start / extent, COLUMNS - SEEN)
        end = max(COLUMNS * segment.end / extent, begin + SEEN)
        if spans and begin <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([begin, end])
    yield from ((round(begin, 1), round(end - begin, 1)) for begin, end in spans)


def ticks(extent: float) -> Iterator[tuple[float, str, bool]]:
    """Yield place in percent and text of the marks of the time axis, and whether a phone has room for them."""
    step = next((step for step in STEPS if extent // step <= 8), extent / 4)
    count = int(extent / step + 1e-9)
    rare = max(count // (2 if extent >= 600 or step < 1 else 3), 1)  # where labels are long
    for i in range(count + 1):
        yield round(100 * i * step / extent, 2), clock(i * step, tenths=step < 1), i % rare == 0


def clock(time: float, tenths: bool = False) -> str:
    """Format a moment of a video as players do.

    >>> clock(7.26), clock(7.26, tenths=True), clock(3723.9)
    ('0:07', '0:07.2', '1:02:03')
    """
    whole, tenth = divmod(int(round(time, 3) * 10 + 1e-6), 10)
    minutes, rest = divmod(whole, 60)
    text = f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    return f"{text}.{tenth}" if tenths else text
