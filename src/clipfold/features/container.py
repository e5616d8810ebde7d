"""What the container says: no model should need it, and one that does well on it alone has found a shortcut."""

import math
from collections.abc import Mapping
from typing import Any

COLUMNS = ("width", "height", "fps", "duration", "frames", "bitrate", "size_bytes", "has_audio", "rotation")
NAMES = (*COLUMNS, "aspect", "bits_per_pixel")


def features(probed: Mapping[str, Any]) -> dict[str, float]:
    """Numbers from the probed metadata of one video; NaN where the container does not say.

    Returns:
        `NAMES`: sizes in pixels, seconds, bits per second and bytes as probed; `aspect`, width over height;
        `bits_per_pixel`, of the file per pixel of all frames.
    """
    values = {name: math.nan if probed[name] is None else float(probed[name]) for name in COLUMNS}
    pixels = values["width"] * values["height"] * values["frames"]
    return values | {
        "aspect": values["width"] / values["height"],
        "bits_per_pixel": 8 * values["size_bytes"] / pixels,
    }
