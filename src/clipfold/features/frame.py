"""One blurred mean frame: a model of action should know more than that."""

import cv2
import numpy as np

from clipfold.storage.files import Array

EDGE = 8
COLUMNS = {
    f"{colour}_{row}_{column}": "grey levels" for row in range(EDGE) for column in range(EDGE) for colour in "rgb"
}


def features(frames: Array) -> dict[str, float]:
    """Compute the mean of a clip's frames, blurred.

    Args:
        frames: `uint8` of (frames, height, width, 3), RGB, without padding.

    Returns:
        A value for each of `COLUMNS`: means of each colour over the fields of an 8 x 8 grid.
    """
    mean = frames.mean(axis=0, dtype=np.float32)
    blurred = cv2.resize(mean, (EDGE, EDGE), interpolation=cv2.INTER_AREA)
    return dict(zip(COLUMNS, blurred.ravel().tolist(), strict=True))
