"""How bright the picture is: what a model may well depend on, and should not."""

import numpy as np

from clipfold.storage.files import Array

NAMES = ("mean",)


def features(track: Array) -> dict[str, float]:
    """Mean brightness of a track.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.

    Returns:
        `NAMES`, in grey levels; NaN where there is no picture.
    """
    return {"mean": float(track.mean()) if track.size else np.nan}
