"""Probe an image, or a folder or archive of frames: the same facts as of a video file."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from clipfold.image.frames import open_frames
from clipfold.image.read import check_image, read_image
from clipfold.status import Status, Unusable

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings


def frames_facts(path: str, settings: ProbeSettings, fps: float) -> dict[str, Any]:
    """Read the headers of all frames and decode the first, which gives the facts about pixels.

    Args:
        path: a folder, or a zip or tar file, see `open_frames`.
        settings: limits that a usable video must keep.
        fps: frames per second: images do not say it.

    Returns:
        Columns of `clipfold.video.probe.SCHEMA` about frames, timing and pixels.

    Raises:
        Unusable: as `open_frames` and `read_image`, with the name of the image; `too_large` or `too_short` for the
            number of frames.
    """
    rate = Fraction(fps).limit_denominator(100_000)
    with open_frames(path) as frames:
        count = len(frames)
        if count > settings.max_frames:
            raise Unusable(Status.TOO_LARGE, f"{count} frames, the limit is {settings.max_frames} (probe.max_frames)")
        if count < settings.min_frames:
            reason = f"{count} frames, at least {settings.min_frames} are needed (probe.min_frames)"
            raise Unusable(Status.TOO_SHORT, reason)
        total = sum(map(frames.size, range(count)))
        with named(frames.names[0]):
            first = read_image(frames.read(0), settings.max_pixels)
        for index in range(1, count):
            with named(frames.names[index]):
                check_image(frames.read(index), settings.max_pixels)
        kind = frames.kind
    return first.facts | {
        "frames": count,
        "frames_source": "images",
        "duration": float(count / rate),
        "fps": float(rate),
        "vfr": False,
        "container": kind,
        "bitrate": 8 * total * float(rate) / count,
        "has_audio": False,
        "time_base": str(1 / rate),
        "pts": list(range(count)),
        "keyframes": list(range(count)),
    }


def image_facts(data: bytes, settings: ProbeSettings) -> dict[str, Any]:
    """Decode an image.

    Args:
        data: its bytes.
        settings: limits, of which `max_pixels` holds.

    Returns:
        Columns as `frames_facts`, of a video of one frame without a rate.

    Raises:
        Unusable: as `read_image`.
    """
    return read_image(data, settings.max_pixels).facts | {
        "frames": 1,
        "frames_source": "image",
        "vfr": False,
        "container": IMAGE,
        "has_audio": False,
        "time_base": "1",
        "pts": [0],
        "keyframes": [0],
    }


IMAGE = "image"
"""The container of an image. Those of frames are the kinds of `Frames`."""
