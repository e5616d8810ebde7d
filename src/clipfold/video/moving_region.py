"""Find the region of a picture that moves, by optical flow without the camera's part."""

from collections.abc import Sequence

import cv2
import numpy as np

from clipfold.storage.files import Array
from clipfold.video.camera import fit_camera, places_of, positions_of
from clipfold.video.geometry import Region, widened

_LEAST_EDGE = 24  # pixels that the flow needs
_LEAST_MOTION = 0.25  # pixels between the two frames of a pair: flow below is mostly noise
_EDGE = 4  # times the camera's motion: so near to the edge, what comes into the picture misleads the flow
_CHANGED = 2  # times the usual change of a pixel: less is noise
_LEAST_PIXELS = 0.001  # share of all pixels of all pairs: where fewer move, nothing does
_LEAST_ALIKE = 0.5  # correlation of the frames of a pair: those before and after a cut are less alike
_LEFT_OUT = 0.02  # share of the motion to leave out on each side, such as noise
_MARGIN = 0.05  # share of the picture to show around the rest


def moving_region(pairs: Sequence[tuple[Array, Array]], least: float) -> Region | None:
    """Find the smallest region that holds most of the motion, with a margin; square, as far as the picture allows.

    Flow is found by dense inverse search (Kroeger et al. 2016), which compares patches without their mean brightness:
    flicker does not count.

    Args:
        pairs: neighbouring frames, `uint8` (height, width).
        least: smallest height and width of the region, in shares of those of the picture.

    Returns:
        The region; None if nothing moves but the camera.
    """
    shape = pairs[0][0].shape if pairs else (0, 0)
    if min(shape) < _LEAST_EDGE:
        return None
    alike = [pair for pair in pairs if pair[0].shape == pair[1].shape == shape]
    found = [motion for pair in alike if (motion := _motion(*pair)) is not None]
    if not found or np.mean([(motion > 0).mean() for motion in found]) < _LEAST_PIXELS:
        return None
    motion = np.sum(found, axis=0)
    return widened([_span(motion.sum(axis=axis)) for axis in (1, 0)], shape[0], shape[1], least)


def _motion(before: Array, after: Array) -> Array | None:
    """Return how far each pixel moves beyond the camera, in pixels, float64 (height, width); None across a cut."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(1)  # half the resolution: at a quarter, small things are lost
    flow = search.calc(before, after, None)  # type: ignore[call-overload]
    shift, factor = fit_camera(flow, before, flat=0.05)  # before a flat wall, what moves is not the camera
    camera = shift + factor * places_of(before.shape)
    moved = cv2.medianBlur(np.abs(flow[..., 0] + 1j * flow[..., 1] - camera).astype(np.float32), 5)
    x, y = positions_of(before.shape)
    at = (x + camera.real).astype(np.float32), (y + camera.imag).astype(np.float32)
    steady = cv2.remap(after, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if float(cv2.matchTemplate(before, steady, cv2.TM_CCOEFF_NORMED)[0, 0]) < _LEAST_ALIKE:
        return None
    change = cv2.blur(cv2.absdiff(before, steady).astype(np.float32), (5, 5))
    # Both: on flat ground noise seems to flow, and where brightness flickers, still things change.
    changed = change > _CHANGED * float(np.median(change)) + 1
    seen = _inside(x + _EDGE * camera.real) & _inside((y + _EDGE * camera.imag).T).T
    beyond: Array = np.maximum(moved - _LEAST_MOTION, 0) * (changed & seen)
    return beyond


def _inside(places: Array) -> Array:
    """Tell which places along the last axis lie in the picture."""
    inside: Array = (places >= 0) & (places <= places.shape[1] - 1)
    return inside


def _span(motion: Array) -> tuple[float, float]:
    """Return begin and end of the motion along an edge, in shares of it."""
    total = np.concatenate([[0.0], np.cumsum(motion)]) / motion.sum()
    begin, end = np.interp([_LEFT_OUT, 1 - _LEFT_OUT], total, np.linspace(0, 1, len(total)))
    return float(begin) - _MARGIN, float(end) + _MARGIN
