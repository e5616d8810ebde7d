"""Motion: the amount and steadiness of change from step to step, frozen and skipped frames."""

from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from clipfold.storage.files import Array

_SERIES = {"change": "grey levels", "speed": "pixels per step", "unevenness": "pixels per step"}
COLUMNS = {
    f"{series}_{statistic}": "ratio" if statistic == "jump" else unit
    for series, unit in _SERIES.items()
    for statistic in ("mean", "std", "max", "jump")
} | {
    "frozen_share": "share of steps",
    "longest_frozen": "share of steps",
    "speed_correlation": "correlation",
    "static_share": "share of pixels",
}
_FROZEN = 0.5  # mean absolute change in grey levels below which a step repeats the previous frame


def features(track: Array) -> dict[str, float]:
    """Compute statistics of a brightness track.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.

    Returns:
        A value for each of `COLUMNS`; all NaN for a single step. Three series over the steps: `change`, the mean
        absolute difference; `speed`, the mean length of the dense optical flow (Farneback 2003); `unevenness`, the
        standard deviation of that length over the picture. Each series has a mean, standard deviation, maximum and
        `jump`, the largest change from step to step divided by the mean.
        `frozen_share`: steps without change; `longest_frozen`: the longest run of them; `speed_correlation`: the speed
        with itself one step later; `static_share`: pixels that never move.
    """
    if len(track) < 2:
        return dict.fromkeys(COLUMNS, np.nan)
    frames = track.astype(np.float32)
    change = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2))
    flows = np.stack([_flow_length(a, b) for a, b in pairwise(track)])
    speed, unevenness = flows.mean(axis=(1, 2)), flows.std(axis=(1, 2))
    values: dict[str, float] = {}
    for name, series in zip(_SERIES, (change, speed, unevenness), strict=True):
        jump = np.abs(np.diff(series)).max(initial=0) / (series.mean() + 1e-6)
        statistics = {"mean": series.mean(), "std": series.std(), "max": series.max(), "jump": jump}
        values |= {f"{name}_{statistic}": float(value) for statistic, value in statistics.items()}
    frozen = change < _FROZEN
    return values | {
        "frozen_share": float(frozen.mean()),
        "longest_frozen": _longest_run(frozen) / len(frozen),
        "speed_correlation": _lagged_correlation(speed),
        "static_share": float((flows.max(axis=0) < 0.1).mean()),
    }


def _flow_length(before: Array, after: Array) -> Array:
    return _flow_length_of(before.tobytes(), after.tobytes(), before.shape)


@lru_cache(
    maxsize=128
)  # the flow takes most of the time, and overlapping windows of a long video have most steps in common
def _flow_length_of(before: bytes, after: bytes, shape: tuple[int, int]) -> Array:
    frames = (np.frombuffer(frame, np.uint8).reshape(shape) for frame in (before, after))
    flow = cv2.calcOpticalFlowFarneback(*frames, None, 0.5, 2, 9, 2, 5, 1.1, 0)  # type: ignore[call-overload]
    return np.asarray(np.linalg.norm(flow, axis=2))


def _longest_run(flags: Array) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def _lagged_correlation(series: Array) -> float:
    before, after = series[:-1] - series.mean(), series[1:] - series.mean()
    scale = float(np.sum((series - series.mean()) ** 2))
    return float(np.sum(before * after)) / scale if scale > 1e-12 else 0.0
