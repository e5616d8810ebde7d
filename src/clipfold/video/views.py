"""Views of a video: the frames and pixels to keep. Each is a small class here and an entry of `decode.views`.

A view chooses frames (`select`, from the timeline alone) and what to keep of each (`take`). One decoding pass serves
all views. A new view needs a class and its name in `VIEWS`, nothing else. Standard library only at import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from clipfold.checks import require
from clipfold.video import sampling
from clipfold.video.geometry import Box
from clipfold.video.region import Finder, build_finder

if TYPE_CHECKING:  # the workflow checks views without importing numpy or PyAV
    from clipfold.storage.files import Array
    from clipfold.video.picture import Picture


@dataclass(frozen=True, slots=True)
class Timeline:
    """The frame times of a video, known before decoding.

    Args:
        id: the video's id, for seeded draws.
        times: presentation times of its frames in seconds, ascending.
        keyframes: ascending indices of the frames that depend on no other.
    """

    id: str
    times: Sequence[float]
    keyframes: Sequence[int]

    def parts(self, number: int) -> list[tuple[int, Timeline]]:
        """Divide it; returns of each part its first frame and its timeline, whose keyframes may lie outside of it."""
        if number == 1:
            return [(0, self)]
        return [
            (
                part.start,
                Timeline(
                    f"{self.id}/{place}", self.times[part.start : part.stop], [k - part.start for k in self.keyframes]
                ),
            )
            for place, part in enumerate(sampling.divided(len(self.times), number))
        ]


class View(Protocol):
    """A choice of frames and pixels to keep."""

    @property
    def region(self) -> Finder | None:
        """The finder of the region that alone is kept of each frame; None for whole frames."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one video's `uint8` array; the first axis counts frames."""

    def select(self, timeline: Timeline) -> list[int]:
        """Return the ascending indices of the wanted frames, at most `shape[0]`; the rest of the array stays zero."""

    def take(self, picture: Picture) -> Array:
        """Return the kept pixels of one frame, `uint8` of `shape[1:]`.

        With a region, which is known only after the last frame: the picture without padding, `uint8` (height, width,
        ...), in a size of which the region fills `shape[1:]`.
        """

    def content(self, picture: Picture) -> Box:
        """Return the box of a kept frame that shows the picture; the rest is padding."""

    def joined(self, box: Box, other: Box) -> Box:
        """Return the box of two kept frames of different sizes, given the box of each."""


@dataclass(frozen=True, kw_only=True)
class _Letterboxed:
    """Frames letterboxed into a square, whole or a region of them."""

    frames: int
    size: int
    region: Finder | None = None

    pixels: ClassVar[str]

    def take(self, picture: Picture) -> Array:
        if self.region is None:
            return picture.letterboxed(self.size, self.pixels)
        return picture.shown(self.region.zoom * self.size, self.pixels)

    def content(self, picture: Picture) -> Box:
        return picture.box(self.size)

    def joined(self, box: Box, other: Box) -> Box:
        return box.around(other)  # no part of a picture is cut off


@dataclass(frozen=True, kw_only=True)
class _Clip(_Letterboxed):
    """RGB frames: a clip of each of `clips` equal parts of the video, one after the other."""

    clips: int = 1

    pixels: ClassVar[str] = "rgb24"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.clips * self.frames, self.size, self.size, 3)

    def select(self, timeline: Timeline) -> list[int]:
        return [first + index for first, part in timeline.parts(self.clips) for index in self.sample(part)]

    def sample(self, timeline: Timeline) -> list[int]:
        """Return the ascending indices of the frames of one clip."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Uniform(_Clip):
    """Frames spaced evenly over the whole video."""

    def sample(self, timeline: Timeline) -> list[int]:
        return sampling.uniform(len(timeline.times), self.frames)


@dataclass(frozen=True, kw_only=True)
class Dense(_Clip):
    """Every `stride`-th frame around the middle of the video."""

    stride: int = 2

    def sample(self, timeline: Timeline) -> list[int]:
        return sampling.dense(len(timeline.times), self.frames, self.stride)


@dataclass(frozen=True, kw_only=True)
class RandomStart(_Clip):
    """Every `stride`-th frame from a random start, drawn from `seed` and the video's id."""

    stride: int = 2
    seed: int = 0

    def sample(self, timeline: Timeline) -> list[int]:
        return sampling.random_start(len(timeline.times), self.frames, self.stride, f"{self.seed}/{timeline.id}")


@dataclass(frozen=True, kw_only=True)
class Keyframe(_Clip):
    """The keyframes nearest to evenly spaced frames: approximate and cheap."""

    def sample(self, timeline: Timeline) -> list[int]:
        keyframes = timeline.keyframes or range(len(timeline.times))
        return sampling.nearest_keyframes(len(timeline.times), self.frames, keyframes)


@dataclass(frozen=True, kw_only=True)
class Luma(_Letterboxed):
    """Luma at a steady rate (frames per second), in a small square: for motion."""

    rate: float
    pixels: ClassVar[str] = "gray"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, self.size, self.size)

    def select(self, timeline: Timeline) -> list[int]:
        return sampling.steady(timeline.times, self.rate, self.frames)


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Luma of a grid of crops at the source's own resolution: resizing would destroy noise and block edges."""

    frames: int
    size: int
    grid: int

    region: ClassVar[None] = None  # pixels at the source's own resolution would have to be kept of the whole picture

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, self.grid**2, self.size, self.size)

    def select(self, timeline: Timeline) -> list[int]:
        return sampling.uniform(len(timeline.times), self.frames)

    def take(self, picture: Picture) -> Array:
        import numpy as np

        luma = picture.luma()
        kept = np.zeros(self.shape[1:], np.uint8)
        # Multiples of 8: the blocks of a codec then begin at the corner of each crop.
        tops, lefts = (np.linspace(0, max(0, edge - self.size), self.grid) // 8 * 8 for edge in luma.shape)
        for crop, (top, left) in zip(kept, ((int(t), int(w)) for t in tops for w in lefts), strict=True):
            pixels = luma[top : top + self.size, left : left + self.size]
            crop[: pixels.shape[0], : pixels.shape[1]] = pixels
        return kept

    def content(self, picture: Picture) -> Box:
        return Box(0, 0, min(self.size, picture.height), min(self.size, picture.width))

    def joined(self, box: Box, other: Box) -> Box:
        return box.within(other)  # padding would look like a picture without noise


VIEWS: Mapping[str, type[View]] = {
    "uniform": Uniform,
    "dense": Dense,
    "random_start": RandomStart,
    "keyframe": Keyframe,
    "luma": Luma,
    "crops": Crops,
}


def build_views(views: Mapping[str, Mapping[str, Any]], size: int, face_model: str = "") -> dict[str, View]:
    """Build the views of the config.

    Args:
        views: `decode.views`: name -> `kind` and its options.
        size: `decode.size`, the default size of letterboxed clips in pixels.
        face_model: `decode.face_model`, the file of the detector of faces.

    Raises:
        ValueError: an unknown kind, an unknown or missing option, an option that is not a positive number, a view
            `clips` that does not hold RGB frames of `decode.size`, or a region of faces without a file of the detector.
    """
    require(
        "index" not in views,
        "decode.views",
        [*views],
        "rename the view: index is the name of the table beside the views",
    )
    for name, options in views.items():
        require(isinstance(options, Mapping), f"decode.views.{name}", options, "use a mapping of kind and options")
    built = {name: _build(f"decode.views.{name}", dict(options), size, face_model) for name, options in views.items()}
    if "clips" in built and built["clips"].shape[1:] != (size, size, 3):
        raise ValueError(
            f"decode.views.clips is {views['clips']!r}: networks train on it, so use one of uniform, dense, "
            "random_start or keyframe, and set its size by decode.size"
        )
    return built


def _build(name: str, options: dict[str, Any], size: int, face_model: str) -> View:
    kind = options.pop("kind", None)
    require(isinstance(kind, str) and kind in VIEWS, f"{name}.kind", kind, f"use one of {', '.join(VIEWS)}")
    cls = VIEWS[kind]
    if issubclass(cls, _Clip):
        options.setdefault("size", size)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    for key, value in options.items():
        require(key in known, f"{name}.{key}", value, f"a {kind} view takes {', '.join(sorted(known))}")
        if key == "region":
            options[key] = build_finder(f"{name}.{key}", value, face_model)
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool) and (value > 0 or key == "seed")
        require(number, f"{name}.{key}", value, "use a positive number")
        require(key == "rate" or isinstance(value, int), f"{name}.{key}", value, "use a whole number")
    try:
        return cls(**options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}; a {kind} view takes {', '.join(sorted(known))}") from None
