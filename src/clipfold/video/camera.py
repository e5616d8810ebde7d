"""Fit the camera's part of the optical flow between two pictures."""

from functools import lru_cache

import cv2
import numpy as np

from clipfold.storage.files import Array

cv2.setNumThreads(1)  # pictures are small; and a worker that is forked while OpenCV's threads run would hang

_POINTS = (slice(2, None, 5), slice(2, None, 5))  # pixels that the camera's motion is fitted to
_ROUNDS = 6
_TEXTURED = 40  # gradient, in the units of a Sobel filter, at which a point counts half


def fit_camera(flow: Array, frame: Array, flat: float = 1e-3) -> tuple[complex, complex]:
    """Fit shift, zoom and rotation by iteratively reweighted least squares with Cauchy weights (Holland & Welsch 1977).

    Flat parts of a picture show no motion whatever the camera does, so that each point counts as its gradient. Points
    and motions are complex numbers: zoom and rotation are then one factor.

    Args:
        flow: float32 (height, width, 2), in pixels.
        frame: the first of the two pictures, `uint8` (height, width).
        flat: weight of a point without texture, where one with much has 1.

    Returns:
        The shift at the centre in pixels, and the factor of the place from the centre, see `places_of`: the camera
        moves a place by their sum.
    """
    place = places_of(frame.shape)
    gradient = np.hypot(cv2.Sobel(frame, cv2.CV_32F, 1, 0)[_POINTS], cv2.Sobel(frame, cv2.CV_32F, 0, 1)[_POINTS])
    texture = (gradient / (gradient + _TEXTURED)).ravel().astype(np.float64) + flat
    point, moved = place[_POINTS].ravel(), (flow[..., 0][_POINTS] + 1j * flow[..., 1][_POINTS]).ravel()
    shift, factor = np.median(moved.real) + 1j * np.median(moved.imag), 0j
    for _ in range(_ROUNDS):
        rest = np.abs(moved - shift - factor * point)
        weight = texture / (1 + (rest / max(2 * float(np.median(rest)), 0.1)) ** 2)
        weight /= weight.sum()
        middle, mean = (weight * point).sum(), (weight * moved).sum()
        centred = point - middle
        # No matrix products: their sums depend on the number of threads.
        factor = (weight * centred.conj() * (moved - mean)).sum() / ((weight * np.abs(centred) ** 2).sum() + 1e-9)
        shift = mean - factor * middle
    return complex(shift), complex(factor)


@lru_cache(maxsize=8)
def positions_of(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return x and y of each pixel, float32 (height, width)."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


@lru_cache(maxsize=8)
def places_of(shape: tuple[int, ...]) -> Array:
    """Return the place of each pixel from the centre in sizes, as complex128 (height, width)."""
    x, y = (each.astype(float) for each in positions_of(shape))
    height, width = shape
    return np.asarray(((x - (width - 1) / 2) + 1j * (y - (height - 1) / 2)) / np.sqrt(height * width))
