"""Align two pictures and decide whether they show the same content."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from clipfold.leakage.hashes import SIZE
from clipfold.storage.files import Array

THRESHOLD = 0.8
"""Least correlation of two pictures with the same content.

Unrelated surveillance clips reached 0.61 at most; near duplicates reached 0.65 at least, and 0.87 in 97 % of cases
(`benchmarks/leakage.py`).
"""

LEAST_SHARE = 0.35
"""Least share of a still background that must match, the rest being hidden; unrelated clips reached 0.22 at most."""

_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
_LEAST_DETAIL = 1.0  # grey levels; a picture with less is empty
_SAME_ACTION = 0.7
_STILL = 0.4
_TILES = 8  # tiles along each edge
_SAME_TILE = 0.7  # least correlation of two tiles that match
_LEAST_ALIGNED = 0.5  # least share of tiles with detail that match in aligned pictures
_LEAST_TILES = 12  # tiles with detail; with fewer, pictures cannot be compared


@dataclass(frozen=True, slots=True)
class Alignment:
    """The position of one picture within another.

    Args:
        score: normalised correlation of the two where they overlap, in [-1, 1].
        matrix: affine map from the first picture to the second, float32 (2, 3), in pixels of `SIZE`.
        mirrored: True if the first picture was mirrored before.
    """

    score: float
    matrix: Array
    mirrored: bool

    @property
    def cropped(self) -> bool:
        """True if the first picture shows clearly less than the second."""
        return float(self.matrix[0, 0] * self.matrix[1, 1]) < 0.93


def align(x: Array, y: Array, window: tuple[float, float, float, float], *, mirrored: bool) -> Alignment:
    """Find the position of picture `y` within picture `x`.

    The method is enhanced correlation (Evangelidis & Psarakis 2008).
        Brightness, contrast and slow changes across the picture are ignored.

    Args:
        x: grey picture, `uint8` (`SIZE`, `SIZE`).
        y: grey picture, `uint8` (`SIZE`, `SIZE`).
        window: first guess, one of `hashes.WINDOWS`.
        mirrored: mirror `y` first.

    Returns:
        The best alignment. Its score is -1 if there is none that a crop could have.
    """
    top, left, height, width = window
    matrix = np.array([[width, 0, SIZE * left], [0, height, SIZE * top]], np.float32)
    one, other = detail(y[:, ::-1] if mirrored else y), detail(x)
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
    there = cv2.warpAffine(x, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    same, telling = _same_tiles(there, y[:, ::-1] if mirrored else y)
    if telling >= _LEAST_TILES and same < _LEAST_ALIGNED * telling:  # a logo makes a good score, but few tiles
        return failed
    return Alignment(float(score), np.asarray(matrix), mirrored)


def same_share(x: Array, y: Array) -> float:
    """Compute the share of tiles with detail that match in two pictures of one still camera.

    Args:
        x: grey picture, `uint8` (`SIZE`, `SIZE`).
        y: grey picture, `uint8` (`SIZE`, `SIZE`).

    Returns:
        Share in [0, 1]; 0 if too few tiles have detail.
    """
    same, telling = _same_tiles(x, y)
    return same / telling if telling >= _LEAST_TILES else 0.0


def _same_tiles(x: Array, y: Array) -> tuple[int, int]:
    """Return the number of tiles that match, and of tiles that have detail in one of two pictures."""
    (ours, our_detail), (theirs, their_detail) = _tiles(x), _tiles(y)
    telling = np.maximum(our_detail, their_detail) > 2 * _LEAST_DETAIL
    return int(((ours * theirs).mean(axis=1)[telling] > _SAME_TILE).sum()), int(telling.sum())


class Tiles:
    """The tiles of some pictures, by which those that cannot pass `same_share` are told from the others, many at once.

    Args:
        pictures: grey pictures, each `uint8` (`SIZE`, `SIZE`).
    """

    def __init__(self, pictures: Sequence[Array]) -> None:
        self._parts = np.zeros((len(pictures), _TILES**2, (SIZE // _TILES) ** 2), np.float32)
        self._detail = np.zeros((len(pictures), _TILES**2), np.float32)
        for number, picture in enumerate(pictures):
            self._parts[number], self._detail[number] = _tiles(picture)

    def may_pass(self, picture: int, others: Self, among: Array, least: float) -> Array:
        """Return False where `same_share` of a picture and some of the others is below `least`.

        Args:
            picture: number of the picture.
            others: tiles of other pictures.
            among: numbers of those to compare with, int (pictures,).
            least: share.
        """
        alike = np.einsum("tp,otp->ot", self._parts[picture], others._parts[among])
        telling = np.maximum(self._detail[picture], others._detail[among]) > 2 * _LEAST_DETAIL
        # Sums in another order differ in their last bits.
        same = ((alike > (_SAME_TILE - 1e-3) * self._parts.shape[2]) & telling).sum(axis=1)
        number = telling.sum(axis=1)
        return np.asarray((number >= _LEAST_TILES) & (same >= least * number - 1e-9))


def is_still(pictures: Array) -> bool:
    """Check that the camera stands still: frames match the background, their median, which motion would blur.

    Args:
        pictures: background, then frames, `uint8` (1 + frames, `SIZE`, `SIZE`).
    """
    background, frames = pictures[0], pictures[1:]
    return float(np.median([same_share(background, frame) for frame in frames[:: max(1, len(frames) // 4)]])) > _STILL


def _tiles(picture: Array) -> tuple[Array, Array]:
    """Return each tile's pixels with mean 0 and variance 1, float32 (tiles, pixels), and its detail in grey levels."""
    parts = tiles(detail(picture, 4.0), SIZE // _TILES)
    parts = parts - parts.mean(axis=1, keepdims=True)
    spread = parts.std(axis=1)
    return parts / np.maximum(spread, _LEAST_DETAIL / 2)[:, None], spread


def tiles(picture: Array, edge: int) -> Array:
    """Cut a picture (height, width) into squares of `edge` pixels, (tiles, pixels); what is left over is dropped."""
    down, across = (length // edge for length in picture.shape)
    parts = picture[: down * edge, : across * edge].reshape(down, edge, across, edge)
    return parts.transpose(0, 2, 1, 3).reshape(-1, edge * edge)


def same_action(x: Array, y: Array, found: Alignment) -> bool:
    """Check that the motion in front of the background matches frame by frame; true if nothing moves.

    Args:
        x: background, then frames, `uint8` (1 + frames, `SIZE`, `SIZE`).
        y: background, then frames of the other video, likewise.
        found: position of the background of `y` within that of `x`.
    """
    ours, theirs = (each[1:].astype(np.float32) - each[:1] for each in (x, y[:, :, ::-1] if found.mirrored else y))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    ours = np.stack([cv2.warpAffine(each, found.matrix, (SIZE, SIZE), flags=flags) for each in ours])
    spread = float(np.sqrt((ours**2).sum() * (theirs**2).sum()))
    moving = min(float((ours**2).mean()), float((theirs**2).mean())) > 1
    return not moving or float((ours * theirs).sum()) / spread > _SAME_ACTION


def detail(picture: Array, widest: float = 6.0) -> Array:
    """Keep structures between 1 and `widest` pixels: no noise and no slow changes across the picture."""
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    return np.asarray(smooth - cv2.GaussianBlur(smooth, (0, 0), widest))
