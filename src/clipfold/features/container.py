"""What the container says: no model should need it, and one that does well on it alone has found a shortcut."""

import math
import zlib
from collections.abc import Mapping
from typing import Any

NUMBERS = ("width", "height", "fps", "duration", "frames", "bitrate", "size_bytes", "has_audio", "rotation", "vfr")
COLUMNS = (*NUMBERS, "codec", "encoder")
CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg")
BUCKETS = 8
"""Encoders have any name: each falls into one of so many by its hash."""
NAMES = (
    *NUMBERS,
    "aspect",
    "bits_per_pixel",
    *(f"codec_{name}" for name in CODECS),
    *(f"encoder_{bucket}" for bucket in range(BUCKETS)),
)


def features(probed: Mapping[str, Any]) -> dict[str, float]:
    """Numbers from the probed metadata of one video; NaN where the container does not say.

    Returns:
        `NAMES`: sizes in pixels, seconds, bits per second and bytes as probed; `aspect`, width over height;
        `bits_per_pixel`, of the file per pixel of all frames; 1 for its codec and its encoder's bucket, 0 for others.
    """
    values = {name: math.nan if probed[name] is None else float(probed[name]) for name in NUMBERS}
    pixels = values["width"] * values["height"] * values["frames"]
    bucket = zlib.crc32(probed["encoder"].encode()) % BUCKETS if probed["encoder"] else None
    return (
        values
        | {"aspect": values["width"] / values["height"], "bits_per_pixel": 8 * values["size_bytes"] / pixels}
        | {f"codec_{name}": float(probed["codec"] == name) for name in CODECS}
        | {f"encoder_{each}": float(each == bucket) for each in range(BUCKETS)}
    )
