"""Sensor noise in the source's own pixels: a camera leaves the same traces all over the picture."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from clipfold.storage.files import Array

_BANDS = (1, 2, 4, 8)
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
    "level_ratio_low": "log ratio",
    "level_disagreement": "standard deviations",
    **{
        f"band_{pixels}{end}": unit
        for pixels in _BANDS
        for end, unit in (("", "log grey levels"), ("_spread", "log ratio"))
    },
    "band_slope": "log ratio",
    "band_slope_spread": "log ratio",
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
        that of the next sampled frame; `band_N`, the logarithm of the deviation of means of N x N pixels within 2 x 2
        of them (Haar wavelets); `band_slope`, the mean change from band to band. Each is the median over all crops;
        `_spread` is the range over the places. `level_ratio`: largest minus median level; `level_ratio_low`: median
        minus smallest; `level_disagreement`: range of the levels of the places over their mean deviation over time;
        `level_drift`: this deviation.
    """
    if min(crops.shape[-2:]) < 16:
        return dict.fromkeys(COLUMNS, np.nan)
    frames = [_measure(frame.tobytes(), frame.shape) for frame in crops]
    level, neighbour, kurtosis, bands = (np.stack(values) for values in list(zip(*frames, strict=True))[:4])
    repeats = [(after.normal * before.normal).mean(axis=(1, 2)) for before, after in pairwise(frames)]
    repeat = np.stack(repeats) if repeats else np.zeros_like(level)
    places = np.median(level, axis=0)
    drift = float(level.std(axis=0).mean())
    values: dict[str, float] = {}
    for number, pixels in enumerate(_BANDS):
        values |= _median_and_spread(f"band_{pixels}", bands[:, number])
    return values | {
        "level_median": float(np.median(level)),
        "level_spread": float(np.ptp(places)),
        "level_ratio": float(places.max() - np.median(places)),
        "level_ratio_low": float(np.median(places) - places.min()),
        "level_disagreement": float(np.ptp(places)) / (drift + 0.05),
        "level_drift": drift,
        **_median_and_spread("neighbour_correlation", neighbour),
        **_median_and_spread("kurtosis", np.arcsinh(kurtosis)),
        **_median_and_spread("repeat", repeat),
        **_median_and_spread("band_slope", (bands[:, -1] - bands[:, 0]) / (len(_BANDS) - 1)),
    }


class _Measured(NamedTuple):
    """What is measured of one frame: a value for each of its crops, and their residuals in standard deviations."""

    level: Array
    neighbour: Array
    kurtosis: Array
    bands: Array
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
        bands=_bands(pixels),
        normal=normal,
    )


def _median_and_spread(name: str, values: Array) -> dict[str, float]:
    return {name: float(np.median(values)), f"{name}_spread": float(np.ptp(np.median(values, axis=0)))}


def _residual(pixels: Array) -> Array:
    """Convolve with [1 -2 1] across and down."""
    across = pixels[..., :, 2:] - 2 * pixels[..., :, 1:-1] + pixels[..., :, :-2]
    return np.asarray(across[..., 2:, :] - 2 * across[..., 1:-1, :] + across[..., :-2, :])


def _bands(pixels: Array) -> Array:
    """Measure the deviation at each scale, logarithm of grey levels: (bands, places)."""
    levels = []
    for _ in _BANDS:
        height, width = (edge // 2 for edge in pixels.shape[1:])
        squares = pixels[:, : 2 * height, : 2 * width].reshape(len(pixels), height, 2, width, 2)
        pixels = squares.mean(axis=(2, 4))
        deviation = np.sqrt(((squares - pixels[:, :, None, :, None]) ** 2).mean(axis=(1, 2, 3, 4)))
        levels.append(np.log(deviation + _EPSILON))
    return np.stack(levels)
