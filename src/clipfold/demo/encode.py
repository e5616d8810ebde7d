"""Encode films to the bytes of a video file, and decode them; encode single pictures."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np

from clipfold.demo.scenes import Frames

Codec = Literal["h264", "hevc", "mpeg4", "vp9", "av1"]
Suffix = Literal[".mp4", ".mkv", ".webm", ".avi"]

# Each encoder uses one thread, and x264 no look-ahead: otherwise the bytes would differ from run to run.
ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "superfast"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "pools=none:frame-threads=1:log-level=none"}),
    "mpeg4": ("mpeg4", {}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", {"preset": "11", "svtav1-params": "lp=1:rc=2:pred-struct=1:rtc=1"}),
}
MUXERS: dict[Suffix, str] = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}


@dataclass(frozen=True, slots=True)
class Take:
    """A recording format: codec, container, frames per second and number of frames."""

    codec: Codec
    suffix: Suffix
    fps: Fraction
    frames: int


def encode(frames: Frames, take: Take, *, bits_per_pixel: float, turns: int = 0) -> bytes:
    """Encode a film at a constant bit rate; the same film gives the same bytes.

    Args:
        frames: the film as displayed, `uint8` (frames, height, width, 3), RGB; height and width are even.
        take: codec, container and frame rate.
        bits_per_pixel: target of the encoder; 0.3 is good quality, 0.03 is bad.
        turns: clockwise quarter turns of the stored frames; the header tells players to turn them back.

    Returns:
        Bytes of the video file.
    """
    # Without this, SVT-AV1 prints a page per video; it has no other switch.
    os.environ.setdefault("SVT_LOG", "0")
    stored = np.ascontiguousarray(np.rot90(frames, -turns, axes=(1, 2)))
    _, height, width, _ = stored.shape
    encoder, options = ENCODERS[take.codec]
    buffer = io.BytesIO()
    # "bitexact" leaves out the random identifiers and the versions that muxers write.
    with (
        scheduling_kept(),
        av.open(buffer, "w", format=MUXERS[take.suffix], options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream(encoder, rate=take.fps, options=options)
        assert isinstance(stream, av.VideoStream)  # the type depends on the encoder's name
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = round(bits_per_pixel * width * height * take.fps)
        stream.codec_context.thread_count = 1
        if turns:
            stream.set_display_rotation(90 * turns)
        for image in stored:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Restore the scheduling policy of the process after encoding.

    SVT-AV1 makes the process of a privileged user a real-time process (`SwitchToRealTime` in its sources). All
    processes started later would inherit this, and threads that wait for each other, as in the training of a network,
    would never yield the CPU to one another.
    """
    if not hasattr(os, "sched_setscheduler"):  # not Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def decode(data: bytes) -> Frames:
    """Decode all frames of an encoded film, as stored: `uint8` (frames, height, width, 3), RGB."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.uint8, copy=False)


def encode_image(picture: Frames, suffix: str) -> bytes:
    """Encode a picture, `uint8` (height, width, 3), RGB, in the format that a suffix such as `.png` names."""
    good, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert good, suffix
    return data.tobytes()
