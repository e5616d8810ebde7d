"""Parts of a video: rows of the manifest that name a file, whole or from one time to another. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EARLY = 1e-6
"""Tolerance in seconds: rounding must not push a frame out of the part that begins with it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a video.

    Args:
        id: the row's id.
        start: begin in seconds, counted from the first frame as players do; None for the begin of the video.
        end: end in seconds, excluded; None for the end of the video.
    """

    id: str
    start: float | None = None
    end: float | None = None

    @property
    def is_whole(self) -> bool:
        """True if the part is the whole video."""
        return self.start is None and self.end is None

    @property
    def described(self) -> str:
        """The part in words.

        >>> Part("a", 1.5).described, Part("a", end=2.0).described
        ('from 1.5 s to the end', 'from 0 s to 2 s')
        """
        return f"from {self.start or 0:.9g} s to " + ("the end" if self.end is None else f"{self.end:.9g} s")


def frames_of(part: Part, times: Sequence[float], origin: float | None = None) -> range:
    """Return the indices of a part's frames: those whose time from the first frame lies in [start, end).

    Args:
        part: the part.
        times: presentation times of the video's frames in seconds, ascending, at least one.
        origin: time of the first frame, if that is not among `times`.

    >>> times = [10.0, 10.5, 11.0, 11.5]
    >>> frames_of(Part("a", 0.5, 1.5), times), frames_of(Part("a", end=0.1), times), frames_of(Part("a", 2.0), times)
    (range(1, 3), range(0, 1), range(4, 4))
    """
    begin = times[0] if origin is None else origin
    first = 0 if part.start is None else bisect_left(times, begin + part.start - EARLY)
    stop = len(times) if part.end is None else bisect_left(times, begin + part.end - EARLY)
    return range(first, max(first, stop))


Segment = Sequence[Any]
"""File, start and end of a segment, as job params give them; start and end are None where the row names none."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a table states of its videos, beside where they are.

    Args:
        segments: id -> segment, for rows whose file has segments.
        rates: source (the file of segments, else the id) -> frames per second of a folder or an archive of frames.
    """

    segments: Mapping[str, Segment] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)

    def of(self, names: Iterable[str]) -> "Stated":
        """Return what is stated of some videos."""
        segments = {name: self.segments[name] for name in names if name in self.segments}
        sources = {segments[name][0] if name in segments else name for name in names}
        return Stated(segments, {name: rate for name, rate in self.rates.items() if name in sources})


NOTHING = Stated()


def by_source(paths: Mapping[str, str], segments: Mapping[str, Segment]) -> Iterator[tuple[str, str, list[Part]]]:
    """Bring together the parts of each file.

    Args:
        paths: id -> path of each row.
        segments: id -> segment, for rows whose file has segments; others are videos by themselves.

    Yields:
        Name of the file, or the id of a video by itself; path; parts. In the order of the first rows.

    >>> list(by_source({"a": "a.mp4", "b": "b.mp4"}, {"b": ("b.mp4", 1.0, None)}))
    [('a', 'a.mp4', [Part(id='a', start=None, end=None)]), ('b.mp4', 'b.mp4', [Part(id='b', start=1.0, end=None)])]
    """
    sources: dict[tuple[str, bool], list[Part]] = {}
    for name in paths:
        file, start, end = segments.get(name, (name, None, None))
        sources.setdefault((file, name in segments), []).append(Part(name, start, end))
    for (source, _), parts in sources.items():
        yield source, paths[parts[0].id], parts
