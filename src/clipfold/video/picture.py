"""One decoded frame, ready to be kept at any size."""

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from clipfold.store import Array
from clipfold.video.geometry import Box, displayed, letterbox, quarter_turns

_LUMA_FIRST = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray", "yuva420p"}


class Picture:
    """A decoded frame and how it is meant to be seen.

    Args:
        frame: as the decoder gave it, stored pixels.
        aspect: width of one stored pixel over its height; None if unknown, which means square.
    """

    def __init__(self, frame: VideoFrame, aspect: Fraction | None) -> None:
        self._frame = frame
        self._aspect = aspect
        self._rotation = 90 * quarter_turns(frame.rotation)

    @property
    def width(self) -> int:
        """Stored pixels across."""
        return self._frame.width

    @property
    def height(self) -> int:
        """Stored pixels down."""
        return self._frame.height

    def box(self, size: int) -> Box:
        """Where the picture, as displayed, lies in a square of `size` pixels."""
        return letterbox(*displayed(self.width, self.height, self._aspect, self._rotation), size)

    def letterboxed(self, size: int, pixels: str) -> Array:
        """The picture as displayed, scaled by area averaging, on black.

        Args:
            size: edge of the square.
            pixels: `rgb24` or `gray`.

        Returns:
            `uint8` of (size, size, 3) or (size, size).
        """
        box = self.box(size)
        turns = self._rotation // 90
        width, height = (box.height, box.width) if turns % 2 else (box.width, box.height)
        scaled = self._frame.reformat(
            width=width, height=height, format=pixels, interpolation=Interpolation.AREA, threads=1
        ).to_ndarray()
        square = np.zeros((size, size, *scaled.shape[2:]), np.uint8)
        square[box.top : box.top + box.height, box.left : box.left + box.width] = np.rot90(scaled, turns)
        return square

    def luma(self) -> Array:
        """Brightness in stored pixels, `uint8` of (height, width); the plane itself where it has 8 bits."""
        if self._frame.format.name in _LUMA_FIRST:
            plane = self._frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            return rows[:, : plane.width]
        return np.asarray(self._frame.reformat(format="gray", threads=1).to_ndarray(), np.uint8)
