"""Recordings whose frames carry their number in their pixels, to see which frames a tool really takes."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from clipfold.demo.encode import scheduling_kept

SIZE = (128, 64)
"""Width and height; a row of 16 squares shows the bits of the number, below, a square passes."""

_BITS, _SQUARE = 16, 8


def write_numbered(
    path: Path,
    stamps: Sequence[int],
    tick: Fraction,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    seed: int = 0,
) -> None:
    """Write a recording.

    Args:
        path: the file.
        stamps: timestamp of each frame in units of `tick`.
        tick: seconds.
        codec: the encoder.
        options: of the encoder.
        mux: of the muxer.
        seed: of the scene.
    """
    width, height = SIZE
    y, x = np.mgrid[:height, :width]
    waves = np.random.default_rng(seed).uniform(-0.6, 0.6, (5, 3))
    scene = (128 + 15 * sum(np.sin(a * x + b * y + 9 * c) for a, b, c in waves)).astype(int)
    with scheduling_kept(), av.open(str(path), "w", container_options=mux or {}) as out:
        video = out.add_stream(codec, 25, options or {"preset": "ultrafast", "threads": "1"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = tick
        for number, stamp in enumerate(stamps):
            luma = scene.copy()
            luma[24:40, number % (width - 16) :][:, :16] = 230
            bits = (number >> np.arange(_BITS)) & 1
            luma[:_SQUARE] = np.repeat(bits * 219 + 16, _SQUARE)
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            planes[:height] = luma
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = stamp, tick
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def numbers(frames: np.ndarray) -> list[int]:
    """Read the numbers of frames, `uint8` (frames, size, size, 3), letterboxed into a square of a power of two."""
    size = frames.shape[1]
    square, top = size // _BITS, (size - size // 2) // 2
    middle = frames[:, top + square // 2, square // 2 :: square, 1] > 128
    return [int(bits @ (1 << np.arange(_BITS))) for bits in middle]
