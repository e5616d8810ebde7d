"""Mix the probabilities of several models."""

import numpy as np

from clipfold.storage.files import Array


def mix(weights: Array, probabilities: Array) -> Array:
    """Average the models' probabilities (linear opinion pool, Stone 1961).

    Args:
        weights: Weight of each model, at least 0 and 1 in total, float64 (models,).
        probabilities: float64 (models, videos, classes).

    Returns:
        float64 (videos, classes).
    """
    return np.tensordot(weights, probabilities, 1)
