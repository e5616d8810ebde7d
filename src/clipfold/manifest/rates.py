"""The frames per second of folders and archives of images, from the manifest. Standard library only."""

import re
from collections.abc import Iterable
from typing import Protocol

from clipfold.checks import require
from clipfold.settings import MOST_FPS

_RATE = re.compile(r"(\d{1,6}(?:\.\d{0,9})?)(?:/(\d{1,6}))?")


class _Row(Protocol):
    """A row of the manifest."""

    @property
    def id(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def fps(self) -> float | None: ...


def read_rate(where: str, cell: str) -> float | None:
    """Read a cell of the column `fps`: a number or a fraction; None for an empty one.

    Raises:
        ValueError: It is none, or out of range; the message names the remedy.
    """
    if not cell:
        return None
    found = _RATE.fullmatch(cell)
    rate = float(found[1]) / float(found[2] or 1) if found and float(found[2] or 1) else 0.0
    remedy = (
        f"write the frames per second of the folder, such as 25 or 30000/1001, up to {MOST_FPS}, or leave it empty for "
        "probe.fps; if the column is something else, the config can say so (columns: {fps: ''})"
    )
    require(0 < rate <= MOST_FPS, where, cell, remedy)
    return rate


def rates_of(videos: Iterable[_Row]) -> dict[str, float]:
    """Return the frames per second of the sources for which the manifest gives them.

    Raises:
        ValueError: Segments of one folder have different ones.
    """
    rates: dict[str, float] = {}
    for video in videos:
        if video.fps:
            known = rates.setdefault(video.source, video.fps)
            other = f"another segment of it has {known:g}: use one"
            require(known == video.fps, f"fps of {video.id}", video.fps, other)
    return rates
