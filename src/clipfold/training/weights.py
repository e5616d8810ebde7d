"""Weights of the members of an ensemble, from predictions for videos that no member has seen."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from clipfold.models.mixing import mix
from clipfold.storage.files import Array


def fit_weights(probabilities: Array, targets: Array) -> Array:
    """Find the weights whose mean has the lowest log-loss.

    The loss is convex in the weights (linear opinion pool, Stone 1961), so the starting point does not matter. Equal
    weights are mixed in as if there were one more validation video per member: with few videos, the member that is
    best by chance would otherwise get all the weight.

    Args:
        probabilities: float (members, videos, classes).
        targets: Class indices, int64 (videos,).

    Returns:
        float64 (members,), at least 0 and 1 in total.
    """
    members, videos = probabilities.shape[:2]

    def loss(logits: Array) -> float:
        weights = softmax(logits)
        prior = -np.log(np.clip(weights, 1e-12, 1)).sum() / videos
        return log_loss(weights, probabilities, targets) + float(prior)

    found = softmax(minimize(loss, np.zeros(members), method="L-BFGS-B").x)
    return np.asarray(found, np.float64)


def log_loss(weights: Array, probabilities: Array, targets: Array) -> float:
    """Compute the mean log-loss of the weighted mean; arguments as in `fit_weights`."""
    likelihood = mix(weights, probabilities)[np.arange(len(targets)), targets]
    return float(-np.log(np.clip(likelihood, 1e-7, 1)).mean())
