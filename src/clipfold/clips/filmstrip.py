"""Draw a clip as a filmstrip: frames side by side, which a page can animate and paper can show."""

import cv2
import numpy as np

from clipfold.storage.files import Array
from clipfold.video.sampling import uniform

FRAMES = 8
QUALITY = 60
"""WebP quality, 0 to 100: at 112 pixels a frame takes some 2 kB."""


def spread_evenly(count: int, most: int = FRAMES) -> list[int]:
    """Choose at most `most` of `count` frames, evenly spaced; return their indices.

    >>> spread_evenly(16, 4), spread_evenly(2, 4)
    ([2, 6, 10, 14], [0, 1])
    """
    return uniform(count, min(count, most))


def encode_filmstrip(frames: Array) -> bytes:
    """Encode frames side by side as one WebP picture.

    Args:
        frames: `uint8` (frames, height, width, 3), RGB.

    Returns:
        Bytes of the WebP file.
    """
    picture = np.concatenate(list(frames), axis=1)[..., ::-1]
    done, data = cv2.imencode(".webp", np.ascontiguousarray(picture), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done, "OpenCV includes WebP"
    return data.tobytes()


def content(clip: Array, box: Array) -> Array:
    """Crop the padding off a clip, (frames, height, width, 3), by its content box (top, left, height, width)."""
    top, left, height, width = (int(edge) for edge in box)
    return clip[:, top : top + height, left : left + width]
