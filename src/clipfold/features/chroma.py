"""Colour traces: noise of the colour channels against that of the brightness, and how it varies over the picture."""

from functools import lru_cache

import cv2
import numpy as np

from clipfold.storage.files import Array

_GRID = 3
_EPSILON = 1e-2  # grey levels
_UNITS = {
    "blue": "log ratio",
    "red": "log ratio",
    "blue_level": "log grey levels",
    "red_level": "log grey levels",
    "blue_red": "correlation",
    "blue_brightness": "correlation",
    "red_brightness": "correlation",
    "edges": "correlation",
}
COLUMNS = {f"{name}{end}": unit for name, unit in _UNITS.items() for end in ("", "_spread", "_drift")}


def features(frames: Array) -> dict[str, float]:
    """Compare the high-pass residuals of brightness and colour (YCbCr, BT.601) in 3 x 3 regions.

    Args:
        frames: `uint8` of (frames, height, width, 3), RGB, without padding.

    Returns:
        A value for each of `COLUMNS`; all NaN for frames under 24 pixels. `blue`, `red`: logarithm of the deviation of
        the residual (as Immerkaer 1996) of Cb and Cr over that of the brightness; `level`: of Cb and Cr alone;
        `blue_red`, `blue_brightness`, `red_brightness`: correlations of the residuals; `edges`: of the strengths of
        edges in brightness and colour. Each is the median over frames and regions; `_spread` is the range over the
        regions, `_drift` the mean deviation over time.
    """
    if min(frames.shape[1:3]) < 8 * _GRID:
        return dict.fromkeys(COLUMNS, np.nan)
    measured = np.stack([_measure(frame.tobytes(), frame.shape) for frame in frames])
    values: dict[str, float] = {}
    for number, name in enumerate(_UNITS):
        series = measured[:, number]
        values[name] = float(np.median(series))
        values[f"{name}_spread"] = float(np.ptp(np.median(series, axis=0)))
        values[f"{name}_drift"] = float(series.std(axis=0).mean())
    return values


@lru_cache(maxsize=64)  # overlapping windows of a long video have frames in common
def _measure(frame: bytes, shape: tuple[int, ...]) -> Array:
    """Measure the regions of a frame: float64 of (values, regions)."""
    pixels = np.frombuffer(frame, np.uint8).reshape(shape)
    luma, red, blue = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32), 2, 0)
    y, cb, cr = (_residual(channel) for channel in (luma, blue, red))
    edges = np.abs(y), np.abs(cb) + np.abs(cr)
    level_y, level_b, level_r = (np.log(np.sqrt(_mean(each**2)) + _EPSILON) for each in (y, cb, cr))
    return np.stack(
        [
            level_b - level_y,
            level_r - level_y,
            level_b,
            level_r,
            _correlation(cb, cr),
            _correlation(cb, y),
            _correlation(cr, y),
            _correlation(*edges),
        ]
    )


def _residual(channel: Array) -> Array:
    across = channel[:, 2:] - 2 * channel[:, 1:-1] + channel[:, :-2]
    return np.asarray(across[2:] - 2 * across[1:-1] + across[:-2])


def _mean(values: Array) -> Array:
    """Return the means of the regions, float64 (regions)."""
    height, width = (edge // _GRID for edge in values.shape)
    parts = values[: _GRID * height, : _GRID * width].reshape(_GRID, height, _GRID, width)
    return np.asarray(parts.mean(axis=(1, 3), dtype=np.float64).ravel())


def _correlation(a: Array, b: Array) -> Array:
    """Return the correlations within regions; 0 where either is flat."""
    mean_a, mean_b = _mean(a), _mean(b)
    scale = np.sqrt((_mean(a**2) - mean_a**2).clip(0) * (_mean(b**2) - mean_b**2).clip(0))
    return np.asarray((_mean(a * b) - mean_a * mean_b) / (scale + _EPSILON))
