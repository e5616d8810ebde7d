"""Calibrate probabilities by a temperature and a bias of each class: on logits, slope and intercept (Platt 1999).

Guo et al. 2017, On Calibration of Modern Neural Networks, call it vector scaling with one common slope.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from clipfold.storage.files import Array

if TYPE_CHECKING:
    import pandas as pd

TEMPERATURES = (0.1, 10.0)
"""Lower and upper bound: unbounded, the fit diverges where a model gets every validation video right."""

_BIAS_SD = 0.5


class Calibration(NamedTuple):
    """What calibrates the probabilities of a fit.

    Args:
        temperature: Divides the logits; above 1 means that the model was overconfident.
        bias: Is added to them, float64 (classes,), 0 in total: what class weights did to the odds is undone here.
    """

    temperature: float
    bias: Array

    @property
    def bounded(self) -> bool:
        """Whether the temperature hit a bound: no choice, but the lack of one."""
        return bool(np.isclose(self.temperature, TEMPERATURES, rtol=0.01).any())


def fit_calibration(targets: Array, probabilities: Array, groups: int | None = None) -> Calibration:
    """Fit the temperature and biases with the lowest log-loss.

    Few groups say little: the logarithm of the temperature has a normal prior of standard deviation 1, each bias one of
    0.5, against which each group counts as one observation. Without it there is no best temperature where all videos
    are right. A class without videos would only show how the videos were split: there are no biases then.

    Args:
        targets: Class indices, int of (videos,).
        probabilities: Float of (videos, classes).
        groups: Number of groups that the videos are from; None: as many as videos.

    Returns:
        A temperature within `TEMPERATURES`. 1 and no bias without videos.
    """
    classes = probabilities.shape[1]
    if not len(targets):
        return Calibration(1.0, np.zeros(classes))
    number = len(targets) if groups is None else groups
    own, hits = logits(probabilities), np.eye(classes)[targets]
    inverse = np.r_[1.0, [1 / _BIAS_SD**2] * classes]  # variances of the prior

    def loss(theta: Array) -> tuple[float, Array]:
        slope = np.exp(-theta[0])
        likely = log_softmax(own * slope + theta[1:], axis=1)
        excess = (np.exp(likely) - hits) * (number / len(targets))
        gradient = np.r_[-slope * (excess * own).sum(), excess.sum(axis=0)]
        value = (inverse * theta**2).sum() / 2 - (likely * hits).sum() * (number / len(targets))
        return float(value), gradient + inverse * theta

    ends = (float(np.log(TEMPERATURES[0])), float(np.log(TEMPERATURES[1])))
    bounds = [ends, *[(None, None) if hits.any(axis=0).all() else (0.0, 0.0)] * classes]
    found = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12}).x
    return Calibration(float(np.exp(found[0])), found[1:] - found[1:].mean())


def biases(choices: "pd.DataFrame", classes: Sequence[str]) -> Array:
    """Read the biases of choices, see `pooling.Pooled`, in the order of the classes; float64 (rows, classes)."""
    return choices[[f"bias_{name}" for name in classes]].to_numpy(np.float64)


def scale(probabilities: Array, temperature: Array | float, bias: Array | float = 0.0) -> Array:
    """Divide the logits by a temperature and add a bias.

    Args:
        probabilities: Float of (videos, classes).
        temperature: One value for all videos, or float of (videos,).
        bias: Float of (classes,), or of (videos, classes).

    Returns:
        Probabilities, float64 of (videos, classes).
    """
    return np.asarray(softmax(logits(probabilities) / np.reshape(temperature, (-1, 1)) + bias, axis=1))


def logits(probabilities: Array) -> Array:
    """Return the logarithms of probabilities, finite for 0."""
    return np.log(np.maximum(probabilities, np.finfo(float).eps))
