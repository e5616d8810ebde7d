"""Find the region of a clip that its views show, and cut it out. Standard library only at import.

A region is the same for all frames of a clip: one that follows would add its own jitter to what moves, and hide it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clipfold.video.geometry import Box, Region, letterbox
from clipfold.video.sampling import neighbours

if TYPE_CHECKING:  # the workflow checks views without importing numpy or PyAV
    from clipfold.storage.files import Array
    from clipfold.video.picture import Picture

NONE = "none"
"""In place of a finder's name: the whole picture."""

ZOOM = 3
"""Largest enlargement: a region has at least 1 / ZOOM of the width and of the height of the picture."""


class Finder(Protocol):
    """A way to find the region of a clip. It looks at frames of its own choice, from the same decoding pass."""

    @property
    def nothing(self) -> str:
        """What to say where there is none."""

    def select(self, times: Sequence[float]) -> list[int]:
        """Return the indices of the frames to look at, of frames shown at these times."""

    def take(self, picture: Picture) -> Any:
        """Return what is noted of one frame."""

    def content(self, picture: Picture) -> Box:
        """Return the box of what is noted that shows the picture."""

    def find(self, noted: Sequence[Any]) -> Region | None:
        """Find the region; None if there is none.

        Args:
            noted: what was noted of the frames that `select` chose, in that order.
        """


@dataclass(frozen=True)
class Motion:
    """The region that holds most of the motion, other than the camera's, in pairs of neighbouring frames."""

    rate: float = 10.0  # that of the view `motion`, by default: no other frames are decoded
    pairs: int = 6
    size: int = 128
    nothing: str = "nothing moves"

    def select(self, times: Sequence[float]) -> list[int]:
        return neighbours(times, self.rate, self.pairs)

    def take(self, picture: Picture) -> Array:
        return picture.shown(self.size, "gray")

    def content(self, picture: Picture) -> Box:
        return picture.box(self.size)

    def find(self, noted: Sequence[Array]) -> Region | None:
        from clipfold.video.moving_region import moving_region  # OpenCV: only for this

        return moving_region(list(zip(noted[::2], noted[1::2], strict=True)), 1 / ZOOM)


FINDERS: Mapping[str, Finder] = {"motion": Motion()}


def cut(frame: Array, region: Region, size: int) -> tuple[Array, Box]:
    """Cut a region out of a frame and letterbox it into a square; returns it with its content box.

    Args:
        frame: `uint8` (height, width) or (height, width, 3).
        region: the region.
        size: edge of the square in pixels.
    """
    import numpy as np

    from clipfold.video.picture import resized

    place = region.of(*frame.shape[:2])
    shown = frame[place.top : place.top + place.height, place.left : place.left + place.width]
    box = letterbox(place.width, place.height, size)
    square: Array = np.zeros((size, size, *frame.shape[2:]), np.uint8)
    square[box.top : box.top + box.height, box.left : box.left + box.width] = resized(shown, box.width, box.height)
    return square, box
