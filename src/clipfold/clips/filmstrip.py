"""A clip as one picture: its frames side by side, which a page can animate and paper can show."""

import cv2
import numpy as np

from clipfold.storage.files import Array

FRAMES = 8
QUALITY = 60
"""Of WebP, 0 to 100: at 112 pixels a frame takes some 2 kB."""


def spread_evenly(count: int, most: int = FRAMES) -> list[int]:
    """Indices of at most so many frames, spread evenly.

    >>> spread_evenly(16, 4), spread_evenly(2, 4)
    ([2, 6, 10, 14], [0, 1])
    """
    frames = min(count, most)
    return [(2 * i + 1) * count // (2 * frames) for i in range(frames)]


def encode_filmstrip(frames: Array) -> bytes:
    """Write frames side by side as one WebP picture.

    Args:
        frames: RGB, uint8 (frames, height, width, 3).
    """
    picture = np.concatenate(list(frames), axis=1)[..., ::-1]
    done, data = cv2.imencode(".webp", np.ascontiguousarray(picture), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done, "OpenCV comes with WebP"
    return data.tobytes()


def content(clip: Array, box: Array) -> Array:
    """The frames without the padding: cropped to top, left, height and width in pixels."""
    top, left, height, width = (int(edge) for edge in box)
    return clip[:, top : top + height, left : left + width]
