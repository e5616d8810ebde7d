"""Scale probabilities by a temperature (Guo et al. 2017, On Calibration of Modern Neural Networks)."""

import numpy as np
from scipy.special import softmax

from clipfold.storage.files import Array


def scale(probabilities: Array, temperature: Array | float) -> Array:
    """Divide the logits by a temperature.

    Args:
        probabilities: Float of (videos, classes).
        temperature: One value for all videos, or float of (videos,).

    Returns:
        Probabilities, float64 of (videos, classes).
    """
    return np.asarray(softmax(logits(probabilities) / np.reshape(temperature, (-1, 1)), axis=1))


def logits(probabilities: Array) -> Array:
    """Return the logarithms of probabilities, finite for 0."""
    return np.log(np.maximum(probabilities, np.finfo(float).eps))
