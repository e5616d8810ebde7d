"""Tell from thumbnails, many pairs of pictures at once, which cannot show the same: most that are near by chance.

Thumbnails are aligned by a few steps of an inverse compositional search (Baker & Matthews 2004, "Lucas-Kanade 20 years
on"), over shifts and scales, first coarse ones and then finer ones.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from clipfold.leakage.hashes import WINDOWS
from clipfold.storage.files import Array

LEAST = 0.45
"""Least correlation of the thumbnails of two pictures with the same content (`benchmarks/chance_pairs.py`)."""

_EDGE = 32
_LEVELS = ((16, 1.0, 4.0), (32, 0.5, 2.2))  # edge; least and largest structures, in pixels of `_EDGE`
_STEPS = 4
_AT_ONCE = 256  # pairs: their arrays fit into the cache
_EVEN = 2.0  # grey levels; regions with less contrast count less
_FARTHEST = 0.2  # of half the picture, in one step

_WINDOWS = np.array(WINDOWS, np.float32)


class Thumbnails:
    """Thumbnails of some pictures, with the same contrast everywhere.

    Args:
        pictures: grey pictures, each `uint8` (`SIZE`, `SIZE`).
    """

    def __init__(self, pictures: Sequence[Array]) -> None:
        self._levels = [np.zeros((len(pictures), edge, edge), np.float32) for edge, _, _ in _LEVELS]
        for number, picture in enumerate(pictures):
            small = cv2.resize(picture, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA).astype(np.float32)
            for level, (edge, finest, widest) in zip(self._levels, _LEVELS, strict=True):
                smooth = cv2.GaussianBlur(small, (0, 0), finest)
                detail = smooth - cv2.GaussianBlur(smooth, (0, 0), widest)
                detail /= np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 4.0) + _EVEN**2)
                level[number] = cv2.resize(detail, (edge, edge), interpolation=cv2.INTER_AREA)

    def may_match(self, ours: Array, others: "Thumbnails", theirs: Array, window: Array, mirrored: Array) -> Array:
        """Return False for pairs whose pictures, aligned, correlate by less than `LEAST`, bool (pairs,).

        Args:
            ours: numbers of our pictures, int (pairs,).
            others: thumbnails of other pictures.
            theirs: numbers of these, int (pairs,).
            window: where in ours the other picture may lie, indices into `WINDOWS`.
            mirrored: True where the other picture is mirrored.
        """
        kept = np.arange(len(ours))
        top, left, height, width = _WINDOWS[window].T
        # Shift and scale down, then across. The picture reaches from -1 to 1; a negative scale mirrors it.
        place = np.stack([2 * top + height - 1, height, 2 * left + width - 1, np.where(mirrored, -width, width)], 1)
        for mine, other in zip(self._levels, others._levels, strict=True):
            numbers, at = np.unique(theirs[kept], return_inverse=True)
            targets, inverse = _linear(other[numbers])
            score = np.zeros(len(kept), np.float32)
            for start in range(0, len(kept), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                moving = mine[ours[kept[part]]]
                score[part], place[part] = _aligned(moving, targets[at[part]], inverse[at[part]], place[part])
            kept, place = kept[score >= LEAST], place[score >= LEAST]
        passed = np.zeros(len(ours), bool)
        passed[kept] = True
        return passed


def _linear(pictures: Array) -> tuple[Array, Array]:
    """Return pictures of mean 0 and norm 1, (pictures, pixels), and what tells a shift and scale from a difference.

    The latter, (pictures, 4, pixels), does not react to brightness and contrast.
    """
    count, edge = pictures.shape[:2]
    targets = _normal(pictures.reshape(count, edge**2))
    down, across = np.gradient(targets.reshape(count, edge, edge) * (edge / 2), axis=(1, 2))
    at = _middles(edge)
    slopes = np.stack([down, down * at[:, None], across, across * at], axis=1).reshape(count, 4, edge**2)
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= (slopes @ targets[:, :, None]) * targets[:, None]
    squares = slopes @ slopes.transpose(0, 2, 1)
    damping = 1e-4 * np.trace(squares, axis1=1, axis2=2) + 1e-9  # an empty picture tells nothing
    return targets, np.linalg.solve(squares + damping[:, None, None] * np.eye(4, dtype=np.float32), slopes)


def _aligned(pictures: Array, targets: Array, inverse: Array, place: Array) -> tuple[Array, Array]:
    """Return the largest correlation of pictures with their targets within `_STEPS`, and the place that has it."""
    best, at_best = np.full(len(pictures), -1, np.float32), place
    for step in range(_STEPS + 1):
        there = _weights(place[:, :2], pictures) @ pictures @ _weights(place[:, 2:], pictures).transpose(0, 2, 1)
        there = _normal(there.reshape(len(there), -1))
        score = (there * targets).sum(axis=1)
        at_best = np.where((score > best)[:, None], place, at_best)
        best = np.maximum(best, score)
        if step < _STEPS:
            moved = np.clip((inverse @ there[:, :, None])[:, :, 0], -_FARTHEST, _FARTHEST)
            scale = place[:, 1::2] / (1 + moved[:, 1::2])
            place = np.stack([place[:, ::2] - scale * moved[:, ::2], scale], axis=2).reshape(-1, 4)
    return best, at_best


def _weights(place: Array, pictures: Array) -> Array:
    """Return the weights of linear interpolation along one axis, float32 (pictures, edge, edge)."""
    edge = pictures.shape[1]
    at = np.clip((place[:, :1] + place[:, 1:] * _middles(edge) + 1) * (edge / 2) - 0.5, 0, edge - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, :, None] - np.arange(edge, dtype=np.float32))))


def _middles(edge: int) -> Array:
    return ((np.arange(edge, dtype=np.float32) + 0.5) * 2 / edge - 1).astype(np.float32)


def _normal(flat: Array) -> Array:
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.sqrt((flat * flat).sum(axis=1, keepdims=True)), 1e-3))
