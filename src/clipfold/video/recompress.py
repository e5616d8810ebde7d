"""Compress a clip and decompress it again: the traces of one more recompression."""

import io
from fractions import Fraction

import av
import numpy as np

from clipfold.storage.files import Array

# One thread, and no look-ahead, which has a thread of its own: otherwise the bytes would differ from run to run.
_OPTIONS = {"preset": "superfast", "threads": "1", "x264-params": "rc-lookahead=0:sync-lookahead=0"}


def recompress(frames: Array, crf: int) -> Array:
    """Compress frames as H.264 at a constant quality, and decompress them; the same frames give the same bytes.

    Args:
        frames: `uint8` (frames, height, width, 3), RGB. An edge of odd length is compressed with one more pixel.
        crf: Constant rate factor of x264, 1 (best) to 51 (worst).

    Returns:
        `uint8` of the same shape.
    """
    _, height, width, _ = frames.shape
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", Fraction(25), {"crf": str(crf), **_OPTIONS})
        stream.height, stream.width, stream.pix_fmt = even.shape[1], even.shape[2], "yuv420p"
        for frame in even:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        container.streams.video[0].codec_context.thread_count = 1
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(decoded)[:, :height, :width]
