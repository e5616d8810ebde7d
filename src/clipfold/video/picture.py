"""Convert a decoded frame to the arrays that views keep."""

import re
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from clipfold.storage.files import Array
from clipfold.video.geometry import Box, displayed, letterbox, quarter_turns

_LUMA_FIRST = re.compile(r"yuv[aj]?4[0-4]{2}p|nv(12|16|21|24|42)|gray")
_CHANNELS = {"rgb24": (3,), "gray": ()}
_DEEP_LUMA_FIRST = re.compile(r"(yuva?4[0-4]{2}p|gray)(9|1[0-6])le")


class Picture:
    """A decoded frame with its display geometry.

    Args:
        frame: the decoder's output, in stored pixels.
        aspect: width of one stored pixel over its height; None if unknown, which means square.
    """

    def __init__(self, frame: VideoFrame, aspect: Fraction | None) -> None:
        self._frame = frame
        self._aspect = aspect
        self._rotation = 90 * quarter_turns(frame.rotation)

    @property
    def width(self) -> int:
        """Stored width in pixels."""
        return self._frame.width

    @property
    def height(self) -> int:
        """Stored height in pixels."""
        return self._frame.height

    def box(self, size: int) -> Box:
        """Return the content box of the displayed picture in a square of `size` pixels."""
        return letterbox(*displayed(self.width, self.height, self._aspect, self._rotation), size)

    def letterboxed(self, size: int, pixels: str) -> Array:
        """Return the displayed picture, resized by area averaging and padded with black.

        Args:
            size: edge of the square in pixels.
            pixels: pixel format, `rgb24` or `gray`.

        Returns:
            `uint8` (size, size, 3) or (size, size).
        """
        box = self.box(size)
        square: Array = np.zeros((size, size, *_CHANNELS[pixels]), np.uint8)
        square[box.top : box.top + box.height, box.left : box.left + box.width] = self._scaled(box, pixels)
        return square

    def shown(self, longest: int, pixels: str) -> Array:
        """Return the displayed picture without padding; reduced by area averaging if it is larger, else as it is.

        Args:
            longest: most pixels along the longer edge.
            pixels: pixel format, `rgb24` or `gray`.

        Returns:
            `uint8` (height, width, 3) or (height, width).
        """
        displays = displayed(self.width, self.height, self._aspect, self._rotation)
        box, name = letterbox(*displays, min(longest, max(displays))), self._frame.format.name
        # To RGB afterwards: in one step, the colours of large pictures take three times as long.
        return np.ascontiguousarray(self._scaled(box, *([name] if name.startswith("yuv") else []), pixels))

    def _scaled(self, box: Box, *formats: str) -> Array:
        """Return the displayed picture in the size of a box, converted to one pixel format after the other."""
        turns, frame = self._rotation // 90, self._frame
        width, height = (box.height, box.width) if turns % 2 else (box.width, box.height)
        for each in formats:
            frame = _reformatted(frame, width, height, each)
        return np.rot90(frame.to_ndarray(), turns)

    def luma(self) -> Array:
        """Return the luma plane in stored pixels, `uint8` (height, width), reduced to 8 bits per pixel.

        The value range stays that of the file: stretching it would change the noise, which would tell formats apart.
        """
        name = self._frame.format.name
        deep = _DEEP_LUMA_FIRST.fullmatch(name)
        if deep or _LUMA_FIRST.fullmatch(name):
            plane = self._frame.planes[0]
            stored = np.frombuffer(memoryview(plane), np.uint16 if deep else np.uint8).reshape(plane.height, -1)
            rows: Array = stored[:, : plane.width]
            return np.right_shift(rows, int(deep[2]) - 8).astype(np.uint8) if deep else rows
        return np.asarray(self._frame.reformat(format="gray", threads=1).to_ndarray(), np.uint8)


def resized(picture: Array, width: int, height: int) -> Array:
    """Resize a picture, `uint8` (height, width) or (height, width, 3), by area averaging."""
    pixels = "rgb24" if picture.ndim == 3 else "gray"
    if picture.shape[:2] == (height, width):
        return picture
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), pixels)
    return np.asarray(_reformatted(frame, width, height, pixels).to_ndarray(), np.uint8)


def _reformatted(frame: VideoFrame, width: int, height: int, pixels: str) -> VideoFrame:
    return frame.reformat(width=width, height=height, format=pixels, interpolation=Interpolation.AREA, threads=1)
