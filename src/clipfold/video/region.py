"""Find the region of a clip that its views show, and cut it out. Standard library only at import.

A region is the same for all frames of a clip: one that follows would add its own jitter to what moves, and hide it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from clipfold.checks import require
from clipfold.storage.hashing import file_digest
from clipfold.video.geometry import Box, Region, letterbox
from clipfold.video.sampling import neighbours

if TYPE_CHECKING:  # the workflow checks views without importing numpy or PyAV
    from clipfold.storage.files import Array
    from clipfold.video.picture import Picture

NONE = "none"
"""In place of a finder's name: the whole picture."""

MOTION, FACE = "motion", "face"
"""Names of the finders."""

MODEL_BYTES = 1 << 24
"""Most bytes of a detector of faces: seventy times what YuNet has."""


@dataclass(frozen=True, slots=True)
class Found:
    """The region of a clip.

    Args:
        region: the region, the same for all frames.
        track: index of a frame -> the rectangle of the face there, from the first to the last frame that shows it.
    """

    region: Region
    track: Mapping[int, Region] = field(default_factory=dict)


class Finder(Protocol):
    """A way to find the region of a clip. It looks at frames of its own choice, from the same decoding pass."""

    @property
    def nothing(self) -> str:
        """What to say where there is none."""

    @property
    def tracks(self) -> bool:
        """Whether it follows one thing through the frames, see `Found.track`."""

    @property
    def zoom(self) -> int:
        """Largest enlargement: a region has at least 1 / zoom of the width and of the height of the picture."""

    def check(self) -> None:
        """Check that it can be used on this machine.

        Raises:
            ValueError: it cannot; the message says why.
        """

    def select(self, times: Sequence[float]) -> list[int]:
        """Return the indices of the frames to look at, of frames shown at these times."""

    def take(self, picture: Picture) -> Any:
        """Return what is noted of one frame."""

    def content(self, picture: Picture) -> Box:
        """Return the box of what is noted that shows the picture."""

    def find(self, noted: Sequence[Any], indices: Sequence[int]) -> Found | None:
        """Find the region; None if there is none.

        Args:
            noted: what was noted of the frames that `select` chose, in that order.
            indices: those frames.
        """


@dataclass(frozen=True)
class Motion:
    """The region that holds most of the motion, other than the camera's, in pairs of neighbouring frames."""

    rate: float = 10.0  # that of the view `motion`, by default: no other frames are decoded
    pairs: int = 6
    size: int = 128
    zoom: int = 3
    tracks: ClassVar[bool] = False
    nothing: str = "nothing moves"

    def check(self) -> None:
        """It needs nothing."""

    def select(self, times: Sequence[float]) -> list[int]:
        return neighbours(times, self.rate, self.pairs)

    def take(self, picture: Picture) -> Array:
        return picture.shown(self.size, "gray")

    def content(self, picture: Picture) -> Box:
        return picture.box(self.size)

    def find(self, noted: Sequence[Array], indices: Sequence[int]) -> Found | None:
        from clipfold.video.moving_region import moving_region  # OpenCV: only for this

        region = moving_region(list(zip(noted[::2], noted[1::2], strict=True)), 1 / self.zoom)
        return Found(region) if region else None


@dataclass(frozen=True)
class Face:
    """The region that holds the largest face that is seen in several frames spread over the clip.

    Args:
        model: file of OpenCV's detector YuNet.
        digest: of the file's content, see `file_digest`.
    """

    model: str = field(repr=False, compare=False)
    digest: str
    rate: float = 10.0  # as for `Motion`
    frames: int = 8
    size: int = 320  # a face of 10 pixels, the least that YuNet finds, is then hardly larger in a clip
    zoom: int = 6  # a talking head fills a fifth of a wide picture
    tracks: ClassVar[bool] = True
    nothing: str = "no face is seen"

    def check(self) -> None:
        from clipfold.video.faces import Detector  # OpenCV: only for this

        Detector.of(self.model, self.digest)

    def select(self, times: Sequence[float]) -> list[int]:
        return neighbours(times, self.rate, self.frames)[::2] or [0]

    def take(self, picture: Picture) -> Array:
        return picture.shown(self.size, "rgb24")

    def content(self, picture: Picture) -> Box:
        return picture.box(self.size)

    def find(self, noted: Sequence[Array], indices: Sequence[int]) -> Found | None:
        from clipfold.video.faces import Detector, face_region, largest_face, rectangles

        detector = Detector.of(self.model, self.digest)
        face = largest_face([detector.faces(frame) for frame in noted])
        if not face:
            return None
        return Found(face_region(face, noted[0].shape, 1 / self.zoom), rectangles(face, indices))


def build_finder(where: str, name: str, face_model: str) -> Finder | None:
    """Build the finder of a region; None for the whole picture.

    Args:
        where: The option of a view that names it, for messages.
        name: Its name.
        face_model: `decode.face_model`.

    Raises:
        ValueError: There is no such finder, or no file with its model.
    """
    require(name in (NONE, MOTION, FACE), where, name, f"use one of {NONE}, {MOTION}, {FACE}")
    if name != FACE:
        return Motion() if name == MOTION else None
    remedy = f"{where} is {FACE!r}: name the file of OpenCV's detector YuNet, such as face_detection_yunet_2023mar.onnx"
    require(Path(face_model).is_file(), "decode.face_model", face_model, remedy)
    size = Path(face_model).stat().st_size
    require(size <= MODEL_BYTES, "decode.face_model", face_model, f"it has {size} bytes, more than YuNet: {remedy}")
    return Face(face_model, file_digest(face_model))


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
