"""Motion: speed and acceleration without the camera's part, their spread over space and time, direction, coherence."""

import numpy as np

from clipfold.features.flow import MOVING, Flow, flow_of
from clipfold.features.series import TINY, autocorrelation, burstiness, entropy, gini, periodicity
from clipfold.storage.files import Array

_SPEED, _ACCELERATION = "log10 sizes per second", "log10 sizes per second squared"
_SPACE, _TIME = (50, 90, 99), (10, 50, 90)
_FLOOR = 1e-3  # sizes per second: far below what flow can tell from noise, so that the logarithm of stillness is finite
_BINS = 12
COLUMNS = (
    {f"speed_{space}_{time}": _SPEED for space in _SPACE for time in _TIME}
    | {f"acceleration_{space}_{time}": _ACCELERATION for space in _SPACE for time in _TIME}
    | {
        "speed_mean": _SPEED,
        "camera_speed": _SPEED,
        "camera_shake": _ACCELERATION,
        "moving_share": "share of pixels",
        "moving_share_spread": "share of pixels",
        "ever_moving": "share of pixels",
        "burstiness": "(std - mean) / (std + mean)",
        "persistence": "correlation",
        "periodicity": "correlation",
        "concentration_space": "Gini coefficient",
        "concentration_time": "Gini coefficient",
        "extent": "sizes",
        "wander": "log10 sizes per second",
        "direction_entropy": "share of the largest",
        "direction_entropy_all": "share of the largest",
        "opposition": "share of motion",
        "vertical": "share of motion",
        "coherence_near": "cosine",
        "coherence_far": "cosine",
        "coherence_time": "cosine",
        "divergence": "per size",
        "rotation": "per size",
        "strain": "per size",
        "unexplained": "log10 grey levels",
        "unexplained_spread": "log10 ratio",
    }
)


def features(track: Array, times: Array) -> dict[str, float]:
    """Compute statistics of the optical flow (DIS, Kroeger et al. 2016) of a brightness track.

    The camera's shift, zoom and rotation are fitted robustly and removed. Lengths are in sizes (the root of the
    picture's area) and times in seconds, so that the size of the pictures and their rate change little.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.
        times: Time of each step in seconds.

    Returns:
        A value for each of `COLUMNS`; all NaN for fewer than four steps. `speed_S_T`, `acceleration_S_T`: percentile
        `S` over the picture, of which percentile `T` over time. `moving_share`: pixels faster than 0.02 sizes per
        second. `burstiness` (Goh & Barabasi 2008), `persistence` (correlation with the next step) and `periodicity`
        (Cutler & Davis 2000) are those of the mean speed over time. `concentration`: Gini coefficients. `extent` and
        `wander`: how far motion lies from its centre, and how fast this centre moves. Directions count as their speed:
        `direction_entropy` of 12 bins in the median step and in all; `opposition`, the share of motion against the
        main direction; `vertical`, the share along y. `coherence`: mean cosine of the directions of pixels 2 and 8
        hundredths of a size apart, and of the same pixel one step later. `divergence`, `rotation`, `strain`: change of
        velocity over a size, relative to velocity. `unexplained`: what remains after moving the picture along the flow.
    """
    if len(track) < 4 or min(track.shape[1:]) < 8:
        return dict.fromkeys(COLUMNS, np.nan)
    flow = flow_of(track, times)
    acceleration = np.diff(flow.velocity, axis=0) / flow.seconds[1:, None, None, None].astype(np.float32)
    values = _percentiles("speed", flow.speed, _FLOOR)
    values |= _percentiles("acceleration", np.hypot(acceleration[..., 0], acceleration[..., 1]), 10 * _FLOOR)
    return values | _camera(flow) | _over_time(flow) | _over_space(flow) | _directions(flow) | _coherence(flow)


def _percentiles(name: str, values: Array, floor: float) -> dict[str, float]:
    over_space = np.percentile(values.reshape(len(values), -1), _SPACE, axis=1)
    both = np.log10(np.percentile(over_space, _TIME, axis=1).T + floor)
    labels = [f"{name}_{space}_{time}" for space in _SPACE for time in _TIME]
    return dict(zip(labels, both.ravel().tolist(), strict=True))


def _camera(flow: Flow) -> dict[str, float]:
    speed = np.hypot(*flow.camera.T)
    shake = np.hypot(*np.diff(flow.camera, axis=0).T) / flow.seconds[1:]
    unexplained = np.log10(flow.unexplained + 0.1)
    return {
        "camera_speed": float(np.log10(np.median(speed) + _FLOOR)),
        "camera_shake": float(np.log10(np.median(shake) + 10 * _FLOOR)),
        "unexplained": float(np.median(unexplained)),
        "unexplained_spread": float(np.percentile(unexplained, 90) - np.percentile(unexplained, 10)),
    }


def _over_time(flow: Flow) -> dict[str, float]:
    activity = flow.speed.mean(axis=(1, 2), dtype=np.float64)
    moving = (flow.speed > MOVING).mean(axis=(1, 2))
    return {
        "speed_mean": float(np.log10(activity.mean() + _FLOOR)),
        "moving_share": float(moving.mean()),
        "moving_share_spread": float(moving.std()),
        "burstiness": burstiness(activity),
        "persistence": float(autocorrelation(activity)[1]),
        "periodicity": periodicity(activity),
        "concentration_time": gini(activity),
    }


def _over_space(flow: Flow) -> dict[str, float]:
    moving = np.where(flow.speed > MOVING, flow.speed, 0).astype(np.float64)
    height, width = moving.shape[1:]
    size = np.sqrt(height * width)
    rows, columns = moving.sum(axis=2), moving.sum(axis=1)
    total = rows.sum(axis=1) + TINY
    y, x = np.arange(height) / size, np.arange(width) / size
    centre_y, centre_x = (rows * y).sum(1) / total, (columns * x).sum(1) / total
    spread = (rows * y**2).sum(1) / total - centre_y**2 + (columns * x**2).sum(1) / total - centre_x**2
    some = rows.sum(axis=1) > TINY
    both = some[1:] & some[:-1]
    steps = np.hypot(np.diff(centre_x), np.diff(centre_y)) / flow.seconds[1:]
    return {
        "ever_moving": float((flow.speed.max(axis=0) > MOVING).mean()),
        "concentration_space": gini(flow.speed.mean(axis=0)),
        "extent": float(np.sqrt(np.maximum(spread[some], 0)).mean()) if some.any() else 0.0,
        "wander": float(np.log10((np.median(steps[both]) if both.any() else 0.0) + _FLOOR)),
    }


def _directions(flow: Flow) -> dict[str, float]:
    angle = np.arctan2(flow.velocity[..., 1], flow.velocity[..., 0])
    bins = np.floor((angle / (2 * np.pi) + 0.5) * _BINS).astype(int) % _BINS
    weight = np.where(flow.speed > MOVING, flow.speed, 0).astype(np.float64)
    histograms = np.stack([np.bincount(b.ravel(), w.ravel(), _BINS) for b, w in zip(bins, weight, strict=True)])
    main = histograms.argmax(axis=1)
    against = sum(histograms[np.arange(len(main)), (main + _BINS // 2 + offset) % _BINS] for offset in (-1, 0, 1)) / (
        histograms.sum(axis=1) + TINY
    )
    vertical = (weight * np.abs(np.sin(angle))).sum() / (weight.sum() + TINY)
    return {
        "direction_entropy": float(np.median([entropy(histogram) for histogram in histograms])),
        "direction_entropy_all": entropy(histograms.sum(axis=0)),
        "opposition": float(np.mean(against)),
        "vertical": float(vertical),
    }


def _coherence(flow: Flow) -> dict[str, float]:
    moving = flow.speed > MOVING
    v, s = np.where(moving[..., None], flow.velocity, 0), np.where(moving, flow.speed, 0)
    size = np.sqrt(v.shape[1] * v.shape[2])
    near, far = max(1, round(0.02 * size)), max(2, round(0.08 * size))
    dx, dy = np.diff(v, axis=2)[:, :-1], np.diff(v, axis=1)[:, :, :-1]
    length = float(s.sum(dtype=np.float64)) / size + TINY
    strain = np.hypot(dx[..., 0] - dy[..., 1], dx[..., 1] + dy[..., 0])
    return {
        "coherence_near": _cosine(v[:, :, near:], v[:, :, :-near], s[:, :, near:] * s[:, :, :-near]),
        "coherence_far": _cosine(v[:, :, far:], v[:, :, :-far], s[:, :, far:] * s[:, :, :-far]),
        "coherence_time": _cosine(v[1:], v[:-1], s[1:] * s[:-1]),
        "divergence": float(np.abs(dx[..., 0] + dy[..., 1]).sum(dtype=np.float64)) / length,
        "rotation": float(np.abs(dx[..., 1] - dy[..., 0]).sum(dtype=np.float64)) / length,
        "strain": float(strain.sum(dtype=np.float64)) / length,
    }


def _cosine(a: Array, b: Array, lengths: Array) -> float:
    """Return the cosine of vectors, weighted by the product of their lengths; 0 without motion."""
    return float((a * b).sum(dtype=np.float64) / (lengths.sum(dtype=np.float64) + TINY))
