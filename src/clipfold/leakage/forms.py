"""Bring descriptors of keypoints into the form that they share in a picture, its mirror image and their negatives.

So one look-up finds a picture whatever was done to it. Two directions tell the four forms apart: along one, a mirror
image changes the sign and a negative nothing; along the other it is the reverse. Of all such directions, descriptors
differ most along these, so that noise seldom changes the sign.
"""

from typing import NamedTuple

import numpy as np

from clipfold.leakage.keypoints import ORDERS
from clipfold.storage.files import Array

_DOUBTFUL = 0.3  # of the usual distance from where the sign changes: less loses copies, more asks more forms

_NEGATIVE, _MIRRORED = 1, 2  # bits of an index into `CHANGES`


class Formed(NamedTuple):
    """Descriptors in the shared form.

    Args:
        row: row of the original, int64 (formed,).
        change: index into `keypoints.CHANGES` of what makes the shared form, int64 (formed,).
        points: float32 (formed, 128).
    """

    row: Array
    change: Array
    points: Array


def learn_directions(points: Array) -> Array:
    """Learn the directions that tell the forms apart, so long that a sign is doubtful below 1.

    Args:
        points: from `words.rooted`, float32 (points, 128).

    Returns:
        float32 (2, 128): that of negatives, that of mirror images.
    """
    return np.stack([_direction(points, _NEGATIVE, _MIRRORED), _direction(points, _MIRRORED, _NEGATIVE)])


def formed(points: Array, directions: Array, *, doubtful: bool) -> Formed:
    """Bring points into the shared form.

    Args:
        points: from `words.rooted`, float32 (points, 128).
        directions: from `learn_directions`.
        doubtful: bring those whose form is in doubt into all forms that it may be.
    """
    along = points @ directions.T
    limit = 1 if doubtful else 0
    may_keep, may_change = along >= -limit, along < limit
    wanted = [
        np.where(change & _NEGATIVE, may_change[:, 0], may_keep[:, 0])
        & np.where(change & _MIRRORED, may_change[:, 1], may_keep[:, 1])
        for change in range(len(ORDERS))
    ]
    row, change = np.nonzero(np.stack(wanted, axis=1))
    return Formed(row, change, points[row[:, None], ORDERS[change]])


def _direction(points: Array, odd: int, even: int) -> Array:
    """Return the direction along which points differ most, of those that a change reverses and another leaves alone."""
    reversed_by = points - points[:, ORDERS[odd]]
    left_alone = reversed_by + reversed_by[:, ORDERS[even]]
    direction = np.linalg.eigh(left_alone.T @ left_alone)[1][:, -1]
    usual = float(np.sqrt(np.mean((points @ direction) ** 2)))
    return np.asarray(direction / max(_DOUBTFUL * usual, 1e-6), np.float32)
