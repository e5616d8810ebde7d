"""Probe an image, or a folder or archive of frames: the same facts as of a video file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from clipfold.image.frames import open_frames
from clipfold.image.read import check_image, read_image
from clipfold.status import Status, Unusable

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings


def add_frames_facts(facts: dict[str, Any], path: str, settings: ProbeSettings, fps: float) -> None:
    """Read the headers of all frames and decode the first, which gives the facts about pixels.

    Args:
        facts: the columns of `clipfold.video.probe.SCHEMA`; those about frames, timing and pixels are added.
        path: a folder, or a zip or tar file, see `open_frames`.
        settings: limits that a usable video must keep.
        fps: frames per second: images do not say it.

    Raises:
        Unusable: as `open_frames` and `read_image`, with the name of the image; `too_large` or `too_short` for the
            number of frames.
    """
    rate = Fraction(fps).limit_denominator(100_000)
    with open_frames(path) as frames:
        count = len(frames)
        if count > settings.max_frames:
            raise Unusable(Status.TOO_LARGE, f"{count} frames, the limit is {settings.max_frames} (probe.max_frames)")
        total = sum(map(frames.size, range(count)))
        with named(frames.names[0]):
            first = read_image(frames.read(0), settings.max_pixels)
        for index in range(1, count):
            with named(frames.names[index]):
                check_image(frames.read(index), settings.max_pixels)
        kind = frames.kind
    facts |= first.facts | {
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
    if count < settings.min_frames:
        reason = f"{count} frames, at least {settings.min_frames} are needed (probe.min_frames)"
        raise Unusable(Status.TOO_SHORT, reason)


def add_image_facts(facts: dict[str, Any], data: bytes, settings: ProbeSettings) -> None:
    """Decode an image: a video of one frame, without a rate.

    Args:
        facts: as for `add_frames_facts`.
        data: the image's bytes.
        settings: limits, of which `max_pixels` holds.

    Raises:
        Unusable: as `read_image`.
    """
    facts |= read_image(data, settings.max_pixels).facts | {
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
"""The container of an image; that of frames is the kind of `Frames`."""


@contextmanager
def named(image: str) -> Iterator[None]:
    """Name the image that cannot be used: a frame that is damaged makes its video `corrupt`.

    Raises:
        Unusable: as the body.
    """
    try:
        yield
    except Unusable as unusable:
        damaged = unusable.status in (Status.EMPTY, Status.UNREADABLE, Status.TRUNCATED)
        status = Status.CORRUPT if damaged else unusable.status
        own = repr(image) in unusable.reason
        raise Unusable(status, unusable.reason if own else f"image {image!r}: {unusable.reason}") from None
