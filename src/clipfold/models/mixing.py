"""Mix the probabilities of several models."""

from collections.abc import Mapping
from typing import Any

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


def sure(probabilities: Array, enough: float) -> Array:
    """Return where a model is sure enough that no other need be asked, bool (videos,).

    Args:
        probabilities: float (videos, classes).
        enough: Least probability of a class.
    """
    return np.asarray(probabilities.max(axis=1) >= enough)


def combine(model: Mapping[str, Any], probabilities: Array) -> Array:
    """Combine the probabilities of the members of an ensemble.

    Args:
        model: `weights`, by member; or `enough`: the first of two members answers where it is that sure, else the
            second.
        probabilities: float64 (members, videos, classes).

    Returns:
        float64 (videos, classes).
    """
    if "enough" in model:
        cheap, careful = probabilities
        return np.asarray(np.where(sure(cheap, model["enough"])[:, None], cheap, careful))
    return mix(np.array([*model["weights"].values()]), probabilities)
