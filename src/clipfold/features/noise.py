"""Sensor noise and block edges in the source's own pixels: a camera leaves the same traces all over the picture."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from clipfold.storage.files import Array

COLUMNS = {
    "level_median": "log grey levels",
    "level_spread": "log ratio",
    "level_ratio": "log ratio",
    "level_drift": "log ratio",
    "neighbour_correlation": "correlation",
    "neighbour_correlation_spread": "correlation",
    "kurtosis": "asinh of the excess",
    "kurtosis_spread": "asinh of the excess",
    "repeat": "correlation",
    "repeat_spread": "correlation",
    "blockiness": "log ratio",
    "blockiness_spread": "log ratio",
}
_EPSILON = 1e-3  # grey levels; keeps the logarithm of a flat crop finite


def features(crops: Array) -> dict[str, float]:
    """Compute statistics of the high-pass residual of crops, and how much they vary over the picture.

    The residual is the output of a 3x3 second-derivative filter (Immerkaer 1996, "Fast noise variance estimation"),
    which cancels flat and sloping regions.

    Args:
        crops: `uint8` of (frames, places, height, width).

    Returns:
        A value for each of `COLUMNS`; all NaN for crops under 16 pixels. Per crop: `level`, the logarithm of the
        noise's standard deviation in grey levels; `neighbour_correlation` of the residual with itself, shifted by one
        pixel; `kurtosis`, the inverse hyperbolic sine of the excess; `repeat`, the correlation of the residual with
        that of the next sampled frame; `blockiness`, the logarithm of the mean step across 8-pixel block edges over the
        mean step elsewhere. Each is the median over all crops; `_spread` is the range over the places. `level_ratio`:
        largest minus median level; `level_drift`: standard deviation over time.
    """
    if min(crops.shape[-2:]) < 16:
        return dict.fromkeys(COLUMNS, np.nan)
    frames = [_measure(frame.tobytes(), frame.shape) for frame in crops]
    level, neighbour, kurtosis, blockiness = (np.stack(values) for values in list(zip(*frames, strict=True))[:4])
    repeats = [(after.normal * before.normal).mean(axis=(1, 2)) for before, after in pairwise(frames)]
    repeat = np.stack(repeats) if repeats else np.zeros_like(level)
    places = np.median(level, axis=0)
    return {
        "level_median": float(np.median(level)),
        "level_spread": float(np.ptp(places)),
        "level_ratio": float(places.max() - np.median(places)),
        "level_drift": float(level.std(axis=0).mean()),
        **_median_and_spread("neighbour_correlation", neighbour),
        **_median_and_spread("kurtosis", np.arcsinh(kurtosis)),
        **_median_and_spread("repeat", repeat),
        **_median_and_spread("blockiness", blockiness),
    }


class _Measured(NamedTuple):
    """What is measured of one frame: a value for each of its crops, and their residuals in standard deviations."""

    level: Array
    neighbour: Array
    kurtosis: Array
    blockiness: Array
    normal: Array


@lru_cache(maxsize=32)  # overlapping windows of a long video have frames in common
def _measure(frame: bytes, shape: tuple[int, ...]) -> _Measured:
    pixels = np.frombuffer(frame, np.uint8).reshape(shape).astype(np.float32)
    residual = _residual(pixels)
    deviation = residual.std(axis=(1, 2), keepdims=True)
    normal = (residual - residual.mean(axis=(1, 2), keepdims=True)) / (deviation + _EPSILON)
    return _Measured(
        level=np.log(np.sqrt(np.pi / 2) / 6 * np.abs(residual).mean(axis=(1, 2)) + _EPSILON),
        neighbour=(normal[..., :, 1:] * normal[..., :, :-1]).mean(axis=(1, 2)),
        kurtosis=(normal**4).mean(axis=(1, 2)) - 3,
        blockiness=_blockiness(pixels),
        normal=normal,
    )


def _median_and_spread(name: str, values: Array) -> dict[str, float]:
    return {name: float(np.median(values)), f"{name}_spread": float(np.ptp(np.median(values, axis=0)))}


def _residual(pixels: Array) -> Array:
    """Convolve with [1 -2 1] across and down."""
    across = pixels[..., :, 2:] - 2 * pixels[..., :, 1:-1] + pixels[..., :, :-2]
    return np.asarray(across[..., 2:, :] - 2 * across[..., 1:-1, :] + across[..., :-2, :])


def _blockiness(pixels: Array) -> Array:
    """Measure block edges; the grid's offset in a crop is unknown, so the phase with the largest steps counts."""
    steps = np.abs(np.diff(pixels, axis=2)).mean(axis=1)
    phases = np.stack([steps[..., phase::8].mean(axis=-1) for phase in range(8)], axis=-1)
    return np.asarray(np.log(phases.max(axis=-1) + _EPSILON) - np.log(np.median(phases, axis=-1) + _EPSILON))
