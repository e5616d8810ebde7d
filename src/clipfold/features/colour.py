"""Colour: mean and spread of each channel, saturation; a model may depend on it, and should not."""

import cv2
import numpy as np

from clipfold.storage.files import Array

COLUMNS = {
    f"{channel}_{each}": "grey levels" for channel in ("red", "green", "blue") for each in ("mean", "spread")
} | {
    "saturation_mean": "0 to 255",
    "saturation_spread": "0 to 255",
    "grey_share": "share of pixels",
}


def features(frames: Array) -> dict[str, float]:
    """Compute the colours of a clip, wherever they are in the picture.

    Args:
        frames: `uint8` of (frames, height, width, 3), RGB, without padding.

    Returns:
        A value for each of `COLUMNS`: mean and standard deviation over all pixels of all frames, and the share of
        pixels without colour.
    """
    pixels = np.ascontiguousarray(frames).reshape(1, -1, 3)
    saturation = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1]
    channels = (pixels[..., 0], pixels[..., 1], pixels[..., 2], saturation)
    found = [value for each in channels for value in (each.mean(), each.std())]
    return dict(zip(COLUMNS, map(float, [*found, (saturation < 8).mean()]), strict=True))
