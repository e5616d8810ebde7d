"""Mean brightness: a model may depend on it, and should not."""

import numpy as np

from clipfold.storage.files import Array

COLUMNS = {"mean": "grey levels"}


def features(track: Array) -> dict[str, float]:
    """Compute the mean brightness of a track.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.

    Returns:
        A value for each of `COLUMNS`; NaN for an empty track.
    """
    return {"mean": float(track.mean()) if track.size else np.nan}
