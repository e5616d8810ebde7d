"""Take the views of frames that are images: only those that a view wants are decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from clipfold.image.frames import open_frames
from clipfold.image.probe import IMAGE, named
from clipfold.image.read import read_image
from clipfold.image.source import read_file
from clipfold.status import Status, Unusable
from clipfold.video.decode import Decoded, Keeper
from clipfold.video.in_memory import shot_of
from clipfold.video.parts import Part, frames_of
from clipfold.video.views import Timeline, View

CONTAINERS = (IMAGE, "folder", "zip", "tar")
"""Name of the container of images in metadata."""

Result = tuple[Part, Decoded | Unusable]


class _Pictures(Protocol):
    @property
    def names(self) -> Sequence[str]: ...

    @property
    def ignored(self) -> Sequence[str]: ...

    def read(self, index: int) -> bytes: ...


def decode_images(
    video: Mapping[str, Any], views: Mapping[str, View], parts: Sequence[Part], max_pixels: int
) -> Iterator[Result]:
    """Decode the frames that the views of the parts want, each of them once.

    Args:
        video: `path` and the probed `container`, `pts` and `time_base`.
        views: the views by name.
        parts: parts of the video.
        max_pixels: most pixels of a frame.

    Yields:
        As `clipfold.video.decode_parts.decode_parts`: each part once, `corrupt` if an image that it wants is damaged,
        which its reason names.

    Raises:
        Unusable: the folder or archive cannot be read.
    """
    tick = float(Fraction(video["time_base"]))
    times = [pts * tick for pts in video["pts"]]
    with _open(video) as pictures:
        warning = f"{len(pictures.ignored)} other files, such as {pictures.ignored[0]!r}" if pictures.ignored else ""
        coming = deque[tuple[Part, range]]()
        for part, place in sorted(((part, frames_of(part, times)) for part in parts), key=lambda each: each[1].start):
            if place:
                coming.append((part, place))
            else:
                yield part, Unusable(Status.NO_FRAMES, f"no frame is shown {part.described}")
        filling: list[_Filling] = []
        while coming or filling:
            # Parts are begun when they are due: memory holds those that overlap.
            while coming and (not filling or coming[0][1].start <= min(each.next for each in filling)):
                part, place = coming.popleft()
                timeline = Timeline(part.id, times[place.start : place.stop], range(len(place)))
                filling.append(_Filling(part, place.start, Keeper(views, timeline)))
            index = min(each.next for each in filling)
            wanting = [each for each in filling if each.next == index]
            try:
                with named(pictures.names[index]):
                    still = read_image(pictures.read(index), max_pixels)
            except Unusable as unusable:
                yield from ((each.part, unusable) for each in wanting)
                filling = [each for each in filling if each not in wanting]
                continue
            shot = shot_of(still.pixels)
            for each in wanting:
                each.keeper.offer(shot, index - each.first)
                if not each.keeper.missing:
                    yield each.part, _decoded(each.keeper, warning or still.warning)
            filling = [each for each in filling if each.keeper.missing]


@dataclass(frozen=True, slots=True)
class _Filling:
    """A part whose views are being filled; `first` is the index of its first frame in the video."""

    part: Part
    first: int
    keeper: Keeper

    @property
    def next(self) -> int:
        """Index in the video of the next frame that it wants."""
        return self.first + min(self.keeper.missing)


def _decoded(keeper: Keeper, warning: str) -> Decoded:
    facts = {"decoded": len(keeper.wanted), "warning": warning, "status": Status.OK, "reason": ""}
    return keeper.decoded(facts)


@contextmanager
def _open(video: Mapping[str, Any]) -> Iterator[_Pictures]:
    if video["container"] == IMAGE:
        yield _Picture(video["path"])
    else:
        with open_frames(video["path"]) as frames:
            yield frames


class _Picture:
    """One image, as if it was a folder of one."""

    def __init__(self, path: str) -> None:
        self.names: Sequence[str] = [path]
        self.ignored: Sequence[str] = ()
        self._path = path

    def read(self, index: int) -> bytes:
        return read_file(self._path)
