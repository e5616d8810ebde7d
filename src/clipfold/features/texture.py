"""Space-time texture: local binary patterns across space and time, and how gradients lie in them."""

from functools import lru_cache

import cv2
import numpy as np

from clipfold.features.series import TINY
from clipfold.storage.files import Array

_EDGE = 96  # pixels of the longer side: finer texture is noise and compression
_PATTERNS = 10
_PLANES = ("xy", "xt", "yt")
COLUMNS = {f"{plane}_{pattern}": "share of pixels" for plane in _PLANES for pattern in range(_PATTERNS)} | {
    "gradient_space": "log10 grey levels per pixel",
    "gradient_time": "log10 grey levels per step",
    "gradient_ratio": "log ratio",
    "linear": "ratio",
    "planar": "ratio",
    "contrast": "log10 grey levels",
}
_NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
_MARGIN = 3  # grey levels that a neighbour must exceed: below it, patterns are noise


def features(track: Array) -> dict[str, float]:
    """Compute rotation-invariant uniform local binary patterns on three planes (LBP-TOP, Zhao & Pietikainen 2007).

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate; shrunk to 96 pixels.

    Returns:
        A value for each of `COLUMNS`; all NaN for fewer than four steps. `PLANE_N`: share of pixels of which `N` of
        the 8 neighbours in the plane are brighter by more than 3 grey levels, in one run; 9 for all others.
        `gradient_space`, `gradient_time`: root mean square, and their log ratio; `linear`, `planar`: (a - b) / a and
        (b - c) / a of the mean eigenvalues a > b > c of the structure tensor of 8 x 8 pixels over all steps;
        `contrast`: standard deviation of the brightness.
    """
    if len(track) < 4 or min(track.shape[1:]) < 12:
        return dict.fromkeys(COLUMNS, np.nan)
    video = _shrunk(track)
    values: dict[str, float] = {}
    each = [step.tobytes() for step in video]
    threes = zip(each[:-2], each[1:-1], each[2:], strict=True)
    counts = np.sum([_patterns(*three, video.shape[1:]) for three in threes], axis=0)
    for plane, shares in zip(_PLANES, counts / video[1:-1, 1:-1, 1:-1].size, strict=True):
        values |= {f"{plane}_{number}": float(share) for number, share in enumerate(shares)}
    return values | _gradients(video.astype(np.float32))


def _shrunk(track: Array) -> Array:
    height, width = track.shape[1:]
    scale = min(1.0, _EDGE / max(height, width))
    size = max(12, round(scale * width)), max(12, round(scale * height))
    return np.stack([cv2.resize(step, size, interpolation=cv2.INTER_AREA) for step in track])


@lru_cache(maxsize=128)  # overlapping windows of a long video have most steps in common
def _patterns(before: bytes, step: bytes, after: bytes, shape: tuple[int, int]) -> Array:
    """Count the pixels of each pattern in a step, on each plane: float64 (planes, patterns)."""
    video = np.frombuffer(before + step + after, np.uint8).reshape(3, *shape)
    return np.stack([_on_plane(video, axes) for axes in ((1, 2), (0, 2), (0, 1))])


def _on_plane(video: Array, axes: tuple[int, int]) -> Array:
    inner = video[1:-1, 1:-1, 1:-1].astype(np.int16) + _MARGIN
    code = np.zeros(inner.shape, np.uint8)
    for bit, offsets in enumerate(_NEIGHBOURS):
        shift = [0, 0, 0]
        for axis, offset in zip(axes, offsets, strict=True):
            shift[axis] = offset
        neighbour = video[tuple(slice(1 + s, edge - 1 + s) for s, edge in zip(shift, video.shape, strict=True))]
        code |= (neighbour > inner).astype(np.uint8) << np.uint8(bit)
    return np.bincount(_KINDS, np.bincount(code.ravel(), minlength=256), _PATTERNS)


def _kind(code: int) -> int:
    bits = [code >> i & 1 for i in range(8)]
    changes = sum(bits[i] != bits[i - 1] for i in range(8))
    return sum(bits) if changes <= 2 else _PATTERNS - 1


_KINDS = np.array([_kind(code) for code in range(256)])


def _gradients(video: Array) -> dict[str, float]:
    inner = slice(1, -1)
    time = (video[2:, inner, inner] - video[:-2, inner, inner]) / 2
    down = (video[inner, 2:, inner] - video[inner, :-2, inner]) / 2
    across = (video[inner, inner, 2:] - video[inner, inner, :-2]) / 2
    parts = (time, down, across)
    tensor = np.empty((time.shape[1] // 8, time.shape[2] // 8, 3, 3))
    rows, columns = 8 * tensor.shape[0], 8 * tensor.shape[1]
    for i in range(3):
        for j in range(i, 3):
            product = (parts[i] * parts[j]).mean(axis=0, dtype=np.float64)[:rows, :columns]
            tensor[:, :, i, j] = tensor[:, :, j, i] = product.reshape(len(tensor), 8, -1, 8).mean(axis=(1, 3))
    squares = tensor[..., range(3), range(3)].mean(axis=(0, 1)) if tensor.size else np.zeros(3)
    smallest, middle, largest = np.linalg.eigvalsh(tensor).mean(axis=(0, 1)) if tensor.size else np.zeros(3)
    space, steps = float(np.sqrt(squares[1] + squares[2])), float(np.sqrt(squares[0]))
    return {
        "gradient_space": float(np.log10(space + 0.1)),
        "gradient_time": float(np.log10(steps + 0.1)),
        "gradient_ratio": float(np.log(steps + 0.1) - np.log(space + 0.1)),
        "linear": float((largest - middle) / (largest + TINY)),
        "planar": float((middle - smallest) / (largest + TINY)),
        "contrast": float(np.log10(video.std() + 0.1)),
    }
