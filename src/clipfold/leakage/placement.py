"""Find where a picture lies in another from their keypoints, and check that it does by the pixels."""

from dataclasses import dataclass

import cv2
import numpy as np

from clipfold.leakage.alignment import detail, tiles
from clipfold.leakage.words import rooted
from clipfold.storage.files import Array

_LEAST = 4  # keypoints that a placement must explain
_ROUGH, _FINE = 8.0, 3.0  # pixels by which a keypoint may lie beside its place, at first and at last
_ANGLE, _OCTAVES = 30.0, 0.7  # degrees, and octaves of the size, by which pairs of keypoints may differ
_SMALLEST = 0.1  # scale
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
_TILE = 8  # pixels
_LEAST_DETAIL = 2.0  # grey levels
_SAME_TILE, _SAME_FRAME = 0.6, 0.6  # least correlations
_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, slots=True)
class Placement:
    """The place of one picture in another.

    Args:
        keypoints: number of keypoints that agree.
        matrix: affine map from the first picture to the second, (2, 3), in pixels.
        score: normalised correlation of the two where they overlap, in [-1, 1].
        share: share of the tiles with detail that match where the two overlap.
        tiles: number of these tiles.
        covered: smallest share of one of the pictures that the overlap covers.
        inside: largest such share.
    """

    keypoints: int
    matrix: Array
    score: float
    share: float
    tiles: int
    covered: float
    inside: float

    @property
    def turned(self) -> bool:
        """True if the picture is turned by more than 3 degrees."""
        return abs(float(np.rad2deg(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))) > 3

    @property
    def cropped(self) -> bool:
        """True if one picture shows only a part of the other."""
        return self.covered < 0.85

    @property
    def sure(self) -> bool:
        """True if the pictures show the same.

        Of 6,714 unrelated pairs of surveillance clips none had more than 6 keypoints, or a score above 0.6
        (`benchmarks/leakage.py`).
        """
        if self.inside < 0.6 or self.share < 0.5:  # a logo makes a good score, but few tiles
            return False
        return self.keypoints >= 8 or (self.score >= 0.85 and self.tiles >= 12)


def place(x: Array, y: Array) -> tuple[Array, int] | None:
    """Find the similarity of the plane that takes most keypoints of one picture to those of another.

    Each pair of keypoints suggests one, since keypoints have an angle and a size (Schönberger, Price, Sattler, Frahm &
    Pollefeys 2016, "A vote-and-verify strategy for fast spatial verification in image retrieval").

    Args:
        x: keypoints of the first picture, `KEYPOINT`.
        y: keypoints of the second.

    Returns:
        Affine map from the first to the second, (2, 3), and the number of keypoints that agree; None if too few do.
    """
    at, to = _mutual(x, y)
    if len(at) < _LEAST:
        return None
    x, y = x[at], y[to]
    source, target = (each["x"] + 1j * each["y"] for each in (x, y))
    turns, octaves = y["angle"] - x["angle"], np.log2(y["size"] / x["size"])
    factors = 2.0**octaves * np.exp(1j * np.deg2rad(turns))
    errors = np.abs(factors[:, None] * (source - source[:, None]) + target[:, None] - target)
    agree = (errors < _ROUGH) & (np.abs((turns[:, None] - turns + 180) % 360 - 180) < _ANGLE)
    agree &= np.abs(octaves[:, None] - octaves) < _OCTAVES
    inside = agree[agree.sum(axis=1).argmax()]
    for limit in (_ROUGH, _FINE, _FINE):
        if len(set(source[inside])) < 3:
            return None
        a, b = source[inside], target[inside]
        factor = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
        if abs(factor) < _SMALLEST:
            return None
        shift = b.mean() - factor * a.mean()
        inside = (np.abs(factor * source + shift - target) < limit) & (np.abs(np.log2(np.abs(factor)) - octaves) < 1)
    number = len(set(np.round(target[inside])))  # a place with two keypoints counts once
    if number < _LEAST:
        return None
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]), number


def compare(x: Array, y: Array, matrix: Array, keypoints: int) -> Placement | None:
    """Compare two pictures where they overlap, after refining the place by enhanced correlation (see `alignment`).

    Args:
        x: grey picture, `uint8` (height, width).
        y: grey picture, `uint8` (height, width).
        matrix: affine map from `x` to `y`.
        keypoints: number of keypoints that agree on it.

    Returns:
        None if one is empty, or their overlap is.
    """
    if np.linalg.det(matrix[:, :2]) > 1:  # shrink the other one instead: what is enlarged lacks detail
        found = compare(y, x, cv2.invertAffineTransform(matrix), keypoints)
        if found is None:
            return None
        back = cv2.invertAffineTransform(found.matrix)
        return Placement(keypoints, back, found.score, found.share, found.tiles, found.covered, found.inside)
    small, warp = _shrunk(x, matrix)
    one, other = detail(small), detail(y)
    if min(one.std(), other.std()) < 1:
        return None
    try:
        _, warp = cv2.findTransformECC(one, other, warp, cv2.MOTION_AFFINE, _STEPS, None, 3)  # type: ignore[call-overload]
    except cv2.error:  # it does not converge
        return None
    if np.linalg.det(warp[:, :2]) < _SMALLEST**2:  # it ran away, to a line or to the picture's mirror image
        return None
    size = small.shape[::-1]
    there = cv2.warpAffine(other, warp, size, flags=_WARP)
    both = cv2.warpAffine(np.ones(y.shape, np.float32), warp, size, flags=_WARP) > 0.99
    if both.sum() < _TILE**2:
        return None
    ours, theirs = tiles(one, _TILE), tiles(there, _TILE)
    telling = tiles(both, _TILE).all(axis=1) & (np.maximum(ours.std(axis=1), theirs.std(axis=1)) > _LEAST_DETAIL)
    same = _correlation(ours[telling], theirs[telling]) > _SAME_TILE
    shares = float(both.mean()), min(1.0, float(abs(np.linalg.det(warp[:, :2])) * both.sum() / y.size))
    grown = np.diag([small.shape[1] / x.shape[1], small.shape[0] / x.shape[0], 1])
    return Placement(
        keypoints,
        (warp.astype(float) @ grown),
        float(_correlation(one[both], there[both])),
        float(same.mean()) if len(same) else 0.0,
        len(same),
        min(shares),
        max(shares),
    )


def shared_frames(x: Array, y: Array, matrix: Array) -> float:
    """Return the share of frames of one of two videos, the larger one, that the other shows too, at one place.

    Args:
        x: grey frames, `uint8` (frames, height, width).
        y: grey frames, likewise.
        matrix: affine map from a frame of `x` to one of `y`.
    """
    if np.linalg.det(matrix[:, :2]) > 1:
        return shared_frames(y, x, cv2.invertAffineTransform(matrix))
    small = [_shrunk(frame, matrix) for frame in x]
    size = small[0][0].shape[::-1]
    ours = _normal([detail(frame) for frame, _ in small])
    theirs = _normal([cv2.warpAffine(detail(frame), small[0][1], size, flags=_WARP) for frame in y])
    same = ours @ theirs.T > _SAME_FRAME
    return float(max(same.any(axis=1).mean(), same.any(axis=0).mean()))


def _mutual(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the indices of the keypoints that are each other's nearest."""
    near = rooted(x["descriptor"]) @ rooted(y["descriptor"]).T
    best = near.argmax(axis=1)
    mutual = near.argmax(axis=0)[best] == np.arange(len(x))
    return np.flatnonzero(mutual), best[mutual]


def _shrunk(x: Array, matrix: Array) -> tuple[Array, Array]:
    """Shrink a picture to its size in the other; return it with the map from there to the other, float32 (2, 3)."""
    height, width = x.shape
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    size = max(_TILE, round(width * scale)), max(_TILE, round(height * scale))
    grown = np.diag([width / size[0], height / size[1], 1])
    return cv2.resize(x, size, interpolation=cv2.INTER_AREA), (matrix @ grown).astype(np.float32)


def _correlation(x: Array, y: Array) -> Array:
    """Return the correlation of two pictures along their last axis."""
    x, y = (each - each.mean(axis=-1, keepdims=True) for each in (x, y))
    return np.asarray((x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1) + 1e-3))


def _normal(pictures: list[Array]) -> Array:
    flat = np.stack([picture.ravel() for picture in pictures])
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.sqrt((flat**2).sum(axis=1, keepdims=True) + flat.shape[1]))
