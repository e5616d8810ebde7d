"""What a glance tells: one blurred mean frame. A model of action should know more than that."""

import cv2
import numpy as np

from clipfold.storage.files import Array

EDGE = 8
NAMES = tuple(f"{colour}_{row}_{column}" for row in range(EDGE) for column in range(EDGE) for colour in "rgb")


def features(frames: Array) -> dict[str, float]:
    """The mean of a clip's frames, blurred.

    Args:
        frames: `uint8` of (frames, height, width, 3), RGB, without padding.

    Returns:
        `NAMES`: means of each colour over the fields of an 8 x 8 grid, in grey levels.
    """
    mean = frames.mean(axis=0, dtype=np.float32)
    blurred = cv2.resize(mean, (EDGE, EDGE), interpolation=cv2.INTER_AREA)
    return dict(zip(NAMES, blurred.ravel().tolist(), strict=True))
