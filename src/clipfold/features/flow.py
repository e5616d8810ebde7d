"""Optical flow without the camera's part, shared by all groups that look at motion."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from clipfold.storage.files import Array
from clipfold.video.camera import fit_camera, places_of, positions_of

MOVING = 0.02
"""Speed in sizes per second above which a pixel counts as moving: a quarter pixel per step of a tenth of a second at
160 x 90 pixels. Below it, flow is mostly noise."""

_KEPT = (slice(None, None, 2), slice(None, None, 2))  # DIS computes flow at half the resolution


class Flow(NamedTuple):
    """Motion between neighbouring steps of a track.

    Lengths are in sizes, the root of the picture's area, so that they do not depend on its pixels.

    Attributes:
        velocity: float32 (steps - 1, rows, columns, 2): x and y in sizes per second, without the camera's part, at
            every second pixel.
        speed: Its length, float32 (steps - 1, rows, columns).
        camera: The camera's part at the centre of the picture, float64 (steps - 1, 2), in sizes per second.
        unexplained: Mean absolute difference of each step from the step before moved along the flow, in grey levels,
            float64 (steps - 1).
        seconds: Length of each step in seconds, float64 (steps - 1).
    """

    velocity: Array
    speed: Array
    camera: Array
    unexplained: Array
    seconds: Array


def flow_of(track: Array, times: Array) -> Flow:
    """Compute the flow between neighbouring steps by dense inverse search (DIS, Kroeger et al. 2016).

    The camera's motion is what a robust fit of shift, zoom and rotation explains of the flow. It is subtracted.

    Args:
        track: `uint8` of (steps, height, width), at least two steps.
        times: Time of each step in seconds.
    """
    return _flow_of(track.tobytes(), track.shape, np.asarray(times, np.float64).tobytes())


@lru_cache(maxsize=2)  # several groups ask for the flow of one track, and the shuffled one for another
def _flow_of(track: bytes, shape: tuple[int, int, int], times: bytes) -> Flow:
    size = shape[1] * shape[2]
    steps = [track[first : first + size] for first in range(0, len(track), size)]
    found = [_between(before, after, shape[1:]) for before, after in pairwise(steps)]
    # Windows of a long video have other times than the same frames cut out, by rounding.
    seconds = np.maximum(np.round(np.diff(np.frombuffer(times)), 9), 1e-3)
    per_second = 1 / (np.sqrt(size) * seconds)
    velocity = np.stack([moved for moved, _, _ in found]) * per_second[:, None, None, None].astype(np.float32)
    camera = np.stack([shift for _, shift, _ in found]) * per_second[:, None]
    unexplained = np.array([rest for _, _, rest in found])
    return Flow(velocity, np.hypot(velocity[..., 0], velocity[..., 1]), camera, unexplained, seconds)


@lru_cache(maxsize=128)  # overlapping windows of a long video have most steps in common
def _between(before: bytes, after: bytes, shape: tuple[int, int]) -> tuple[Array, Array, float]:
    """Return the flow in pixels without the camera's part, the camera's part at the centre, and what is unexplained."""
    first, second = (np.frombuffer(frame, np.uint8).reshape(shape) for frame in (before, after))
    padded = [_padded(frame) for frame in (first, second)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(padded[0], padded[1], None)[: shape[0], : shape[1]]  # type: ignore[call-overload]
    x, y = positions_of(shape)
    came_from = cv2.remap(second, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unexplained = float(np.abs(came_from.astype(np.int16) - first).mean())
    shift, factor = fit_camera(flow, first)
    camera = (shift + factor * places_of(shape)[_KEPT]).astype(np.complex64)
    still = np.stack([camera.real, camera.imag], axis=-1)
    return flow[_KEPT] - still, np.array([shift.real, shift.imag]), unexplained


def _padded(frame: Array) -> Array:
    """Repeat the edge of small pictures: DIS needs some pixels of each side."""
    height, width = (max(0, 24 - edge) for edge in frame.shape)
    return np.ascontiguousarray(np.pad(frame, ((0, height), (0, width)), mode="edge"))
