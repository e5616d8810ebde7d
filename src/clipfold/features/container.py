"""The container's metadata (size, rates, duration, codec, encoder, sound): no model should need it."""

import math
import zlib
from collections.abc import Mapping
from typing import Any

NUMBERS = {
    "width": "pixels",
    "height": "pixels",
    "fps": "frames per second",
    "duration": "seconds",
    "frames": "number",
    "bitrate": "bits per second",
    "size_bytes": "bytes",
    "has_audio": "0 or 1",
    "rotation": "degrees",
    "vfr": "0 or 1",
}
CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg")
BUCKETS = 8
"""Encoders have any name: a hash assigns each to one of this many buckets."""
COLUMNS = (
    NUMBERS
    | {"aspect": "width over height", "bits_per_pixel": "bits of the file per pixel of all frames"}
    | dict.fromkeys((f"codec_{name}" for name in CODECS), "0 or 1")
    | dict.fromkeys((f"encoder_{bucket}" for bucket in range(BUCKETS)), "0 or 1")
)


def features(probed: Mapping[str, Any]) -> dict[str, float]:
    """Turn the probed metadata of one video into numbers.

    Args:
        probed: The video's row of the probe's table.

    Returns:
        A value for each of `COLUMNS`: numbers as probed, NaN where the container lacks them; 1 for the video's codec
        and its encoder's bucket, 0 for the others.
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
