"""Whether two pictures show the same, and how the one lies in the other."""

from dataclasses import dataclass

import cv2
import numpy as np

from clipfold.leakage.hashes import SIZE
from clipfold.storage.files import Array

THRESHOLD = 0.8
"""Correlation from which on two pictures show the same.

Unrelated surveillance clips came to 0.61 at most, copies to 0.65 at least and 0.87 in 97 % (`benchmarks/leakage.py`).
"""

LEAST_SHARE = 0.35
"""Share of a still background that must be the same, where the rest is hidden; unrelated clips came to 0.22 at most."""

_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
_LEAST_DETAIL = 1.0  # grey levels; below, a picture is empty
_SAME_ACTION = 0.7
_STILL = 0.4
_TILES = 8  # along an edge
_SAME_TILE = 0.7  # correlation
_LEAST_TILES = 12  # with detail, else there is nothing to tell by


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a picture lies in another.

    Args:
        score: normalised correlation of the two where they overlap, in [-1, 1].
        matrix: affine map from the one to the other, float32 of (2, 3), in pixels of `SIZE`.
        mirrored: whether the one was mirrored first.
    """

    score: float
    matrix: Array
    mirrored: bool

    @property
    def cropped(self) -> bool:
        """Whether the one shows clearly less than the other."""
        return float(self.matrix[0, 0] * self.matrix[1, 1]) < 0.93


def align(x: Array, y: Array, window: tuple[float, float, float, float], *, mirrored: bool) -> Alignment:
    """Find where in `x` the picture `y` lies (enhanced correlation, Evangelidis & Psarakis 2008).

    Brightness and contrast do not count, nor what changes only slowly over the picture.

    Args:
        x: `uint8` of (`SIZE`, `SIZE`).
        y: `uint8` of (`SIZE`, `SIZE`).
        window: first guess, see `hashes.WINDOWS`.
        mirrored: whether `y` is to be mirrored first.

    Returns:
        The best place; its score is -1 where there is none that a crop could have.
    """
    top, left, height, width = window
    matrix = np.array([[width, 0, SIZE * left], [0, height, SIZE * top]], np.float32)
    one, other = _detail(y[:, ::-1] if mirrored else y), _detail(x)
    failed = Alignment(-1.0, matrix, mirrored)
    if min(one.std(), other.std()) < _LEAST_DETAIL:
        return failed
    try:
        score, matrix = cv2.findTransformECC(one, other, matrix, cv2.MOTION_AFFINE, _STEPS, None, 3)  # type: ignore[call-overload]
    except cv2.error:  # it does not converge
        return failed
    corners = matrix @ np.array([[0, SIZE, 0, SIZE], [0, 0, SIZE, SIZE], [1, 1, 1, 1]])
    outside = max(-corners.min(), corners.max() - SIZE) / SIZE
    upright = abs(matrix[0, 1]) < 0.08 and abs(matrix[1, 0]) < 0.08
    if not upright or min(matrix[0, 0], matrix[1, 1]) < 0.55 or outside > 0.15:
        return failed
    return Alignment(float(score), np.asarray(matrix), mirrored)


def same_share(x: Array, y: Array) -> float:
    """Share of two pictures of one still camera that is the same: of their tiles with detail, those that correlate.

    Args:
        x: `uint8` of (`SIZE`, `SIZE`).
        y: `uint8` of (`SIZE`, `SIZE`).
    """
    (ours, our_detail), (theirs, their_detail) = _tiles(x), _tiles(y)
    telling = np.maximum(our_detail, their_detail) > 2 * _LEAST_DETAIL
    if telling.sum() < _LEAST_TILES:
        return 0.0
    return float(((ours * theirs).mean(axis=1)[telling] > _SAME_TILE).mean())


def is_still(pictures: Array) -> bool:
    """Whether the background, a median over frames, is seen in the frames: the median of a moving picture is a blur.

    Args:
        pictures: background and frames, `uint8` of (1 + frames, `SIZE`, `SIZE`).
    """
    background, frames = pictures[0], pictures[1:]
    return float(np.median([same_share(background, frame) for frame in frames[:: max(1, len(frames) // 4)]])) > _STILL


def _tiles(picture: Array) -> tuple[Array, Array]:
    """Pixels of each tile, of mean 0 and variance 1, float32 of (tiles, pixels); and its detail in grey levels."""
    edge = SIZE // _TILES
    parts = _detail(picture, 4.0).reshape(_TILES, edge, _TILES, edge).transpose(0, 2, 1, 3).reshape(_TILES**2, -1)
    parts = parts - parts.mean(axis=1, keepdims=True)
    detail = parts.std(axis=1)
    return parts / np.maximum(detail, _LEAST_DETAIL / 2)[:, None], detail


def same_action(x: Array, y: Array, found: Alignment) -> bool:
    """Whether also what moves before the background is the same, frame by frame; so if nothing moves.

    Args:
        x: background and frames, `uint8` of (1 + frames, `SIZE`, `SIZE`).
        y: the same of the other.
        found: how the background of `y` lies in that of `x`.
    """
    ours, theirs = (each[1:].astype(np.float32) - each[:1] for each in (x, y[:, :, ::-1] if found.mirrored else y))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    ours = np.stack([cv2.warpAffine(each, found.matrix, (SIZE, SIZE), flags=flags) for each in ours])
    spread = float(np.sqrt((ours**2).sum() * (theirs**2).sum()))
    moving = min(float((ours**2).mean()), float((theirs**2).mean())) > 1
    return not moving or float((ours * theirs).sum()) / spread > _SAME_ACTION


def _detail(picture: Array, widest: float = 6.0) -> Array:
    """What is neither noise nor a slow change over the picture: between 1 and `widest` pixels."""
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    return np.asarray(smooth - cv2.GaussianBlur(smooth, (0, 0), widest))
