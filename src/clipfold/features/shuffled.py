"""Motion with the steps in shuffled order: what models on motion can tell without the order of time."""

import numpy as np

from clipfold.features import motion
from clipfold.storage.files import Array

COLUMNS = motion.COLUMNS


def features(track: Array, times: Array) -> dict[str, float]:
    """Compute `motion` of a track whose steps are shuffled, in the same way for all tracks of one length.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.
        times: Of the steps in seconds, float64 (steps,): those of the track before it is shuffled.

    Returns:
        A value for each of `COLUMNS`; all NaN for a single step.
    """
    return motion.features(track[np.random.default_rng(0).permutation(len(track))], times)
