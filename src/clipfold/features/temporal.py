"""Steadiness in time: repeated and dropped frames, flicker, cuts, noise that stays from step to step."""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from clipfold.features.flow import flow_of
from clipfold.features.series import longest_run
from clipfold.storage.files import Array

_FROZEN = 0.5  # mean absolute change in grey levels below which a step repeats the previous one
_BINS = 32
COLUMNS = {
    "frozen_share": "share of steps",
    "longest_frozen": "share of steps",
    "change": "log10 grey levels",
    "change_jump": "log ratio",
    "change_least": "log ratio",
    "camera_jump": "log ratio",
    "camera_drop": "log ratio",
    "unexplained_jump": "log ratio",
    "unexplained_drop": "log ratio",
    "speed_jump": "log ratio",
    "cut": "distance",
    "cut_jump": "log ratio",
    "flicker": "log10 grey levels",
    "flicker_jump": "log ratio",
    "residual_correlation": "correlation",
    "residual_correlation_highest": "correlation",
    "residual_correlation_lowest": "correlation",
    "residual_correlation_spread": "correlation",
    "residual_level_drift": "log ratio",
}


def features(track: Array, times: Array) -> dict[str, float]:
    """Compute what breaks the steady flow of time in a brightness track.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.
        times: Time of each step in seconds.

    Returns:
        A value for each of `COLUMNS`; all NaN for fewer than four steps. `frozen_share`: steps without change;
        `longest_frozen`: the longest run of them. `change`: median of the mean absolute difference of neighbouring
        steps. `jump`: logarithm of the largest value over the median of all steps that change, of `change`, of the
        camera's velocity from step to step, of what flow leaves unexplained and of the fastest motion; `drop`, `least`:
        logarithm of the median over the least value. `cut`: largest distance of neighbouring brightness histograms (L1,
        0 to 2). `flicker`: median of the second difference of the mean brightness. `residual_correlation`: correlation
        of the high-pass residual (as Immerkaer 1996) with that of the next step; `spread`: its range over the four
        quarters of the picture; `residual_level_drift`: range of the logarithm of its deviation.
    """
    if len(track) < 4 or min(track.shape[1:]) < 8:
        return dict.fromkeys(COLUMNS, np.nan)
    change = np.abs(np.diff(track.astype(np.int16), axis=0)).mean(axis=(1, 2))
    frozen = change < _FROZEN
    flow = flow_of(track, times)
    fastest = np.percentile(flow.speed.reshape(len(change), -1), 99, axis=1)
    moves = flow.camera * flow.seconds[:, None]
    camera = np.hypot(*(moves - np.median(moves[~frozen] if (~frozen).any() else moves, axis=0)).T)
    histograms = np.stack([np.bincount(step.ravel() // (256 // _BINS), minlength=_BINS) for step in track])
    cuts = np.abs(np.diff(histograms / track[0].size, axis=0)).sum(axis=1)
    flicker = np.abs(np.diff(track.mean(axis=(1, 2)), n=2))
    return {
        "frozen_share": float(frozen.mean()),
        "longest_frozen": longest_run(frozen) / len(frozen),
        "change": float(np.log10(np.median(change) + 0.1)),
        "change_jump": _jump(change, frozen, 0.1),
        "change_least": _drop(change, frozen, 0.1),
        "camera_jump": _jump(camera, frozen, 1e-3),
        "camera_drop": _drop(np.hypot(*moves.T), frozen, 1e-3),
        "unexplained_jump": _jump(flow.unexplained, frozen, 0.1),
        "unexplained_drop": _drop(flow.unexplained, frozen, 0.1),
        "speed_jump": _jump(fastest * flow.seconds, frozen, 1e-3),
        "cut": float(cuts.max()),
        "cut_jump": _jump(cuts, frozen, 1e-2),
        "flicker": float(np.log10(np.median(flicker) + 0.01)),
        "flicker_jump": _jump(flicker, np.zeros(len(flicker), bool), 0.01),
        **_residual(track),
    }


def _jump(series: Array, frozen: Array, floor: float) -> float:
    going = series[~frozen] if (~frozen).any() else series
    return float(np.log((series.max() + floor) / (np.median(going) + floor)))


def _drop(series: Array, frozen: Array, floor: float) -> float:
    going = series[~frozen] if (~frozen).any() else series
    return float(np.log((np.median(going) + floor) / (series.min() + floor)))


def _residual(track: Array) -> dict[str, float]:
    found = [_quarters(step.tobytes(), step.shape) for step in track]
    deviation = np.stack([own for _, own in found])
    products = [(a * b).mean(axis=1) for (a, _), (b, _) in pairwise(found)]
    correlations = np.stack(products) / (deviation[1:] * deviation[:-1])
    over_time = np.median(correlations, axis=0)
    whole = correlations.mean(axis=1)
    return {
        "residual_correlation": float(np.median(whole)),
        "residual_correlation_highest": float(whole.max()),
        "residual_correlation_lowest": float(whole.min()),
        "residual_correlation_spread": float(np.ptp(over_time)),
        "residual_level_drift": float(np.ptp(np.log(deviation.mean(axis=1)))),
    }


@lru_cache(maxsize=128)  # overlapping windows of a long video have steps in common
def _quarters(step: bytes, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return the residual of the four quarters of a picture, (4, pixels), without its mean, and its deviation, (4)."""
    pixels = np.frombuffer(step, np.uint8).reshape(shape).astype(np.float32)
    across = pixels[:, 2:] - 2 * pixels[:, 1:-1] + pixels[:, :-2]
    residual = across[2:] - 2 * across[1:-1] + across[:-2]
    height, width = residual.shape[0] // 2, residual.shape[1] // 2
    parts = residual[: 2 * height, : 2 * width].reshape(2, height, 2, width).transpose(0, 2, 1, 3).reshape(4, -1)
    parts = parts - parts.mean(axis=1, keepdims=True)
    return parts, np.sqrt((parts**2).mean(axis=1)) + 1e-3
