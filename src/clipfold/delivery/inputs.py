"""Describe what a video looks like in a dozen numbers, to compare new videos with the training data."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from clipfold.storage.files import Array

INPUTS = {
    "duration_s": "seconds",
    "fps": "frames per second",
    "width": "pixels",
    "height": "pixels",
    "bits_per_pixel": "bits of the file per pixel of all frames",
    "brightness": "mean, grey levels",
    "contrast": "standard deviation within a frame, grey levels",
    "saturation": "mean range of the three colours, grey levels",
    "sharpness": "mean squared gradient, grey levels squared",
    "motion": "mean change from one sampled frame to the next, grey levels",
    "dark_share": "share of pixels below 32 of 255 grey levels",
    "audio": "0 or 1",
}
"""Name -> unit or meaning, in the order of `describe`."""
_PROBED = ("duration", "fps", "width", "height", "frames", "size_bytes", "has_audio")
_DARK = 32


def describe(probed: Mapping[str, Any], clip: Array, box: Sequence[int], frames: Sequence[int]) -> dict[str, float]:
    """Measure one video: facts of its file, and its picture without padding.

    Args:
        probed: The video's row of the probe's table; what is missing or None is unknown.
        clip: `uint8` of (frames, size, size, 3), RGB, as stored in the view `clips`.
        box: Its content box: top, left, height and width in pixels.
        frames: The number in the video of each frame of the clip, ascending. Frames of the clip beyond them are
            padding; a frame that repeats the one before shows no motion and is not compared with it.

    Returns:
        A value for each of `INPUTS`; NaN where there is none. Picture values are measured at the clip's size.
    """
    known = {name: np.nan if (value := probed.get(name)) is None else float(value) for name in _PROBED}
    pixels = known["width"] * known["height"] * known["frames"]
    return {
        "duration_s": known["duration"],
        "fps": known["fps"],
        "width": known["width"],
        "height": known["height"],
        "bits_per_pixel": 8 * known["size_bytes"] / pixels if pixels > 0 else np.nan,
        **_picture(clip[: len(frames)], box, np.diff(frames) != 0),
        "audio": known["has_audio"],
    }


def _picture(clip: Array, box: Sequence[int], moved: Array) -> dict[str, float]:
    top, left, height, width = box
    shown = np.ascontiguousarray(clip[:, top : top + height, left : left + width])
    if not shown.size:
        return dict.fromkeys(("brightness", "contrast", "saturation", "sharpness", "motion", "dark_share"), np.nan)
    rows = shown.reshape(-1, width, 3)  # frames below each other, as OpenCV takes two dimensions
    red, green, blue = cv2.split(rows)
    colourful = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    grey = cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY)
    frames = grey.reshape(len(shown), -1)  # a frame per row: neighbours below are `width` apart
    across = _change(grey[:, 1:], grey[:, :-1])
    down = _change(frames[:, width:], frames[:, :-width])
    return {
        "brightness": cv2.mean(grey)[0],
        "contrast": float(np.mean([cv2.meanStdDev(frame)[1] for frame in frames])),
        "saturation": cv2.mean(colourful)[0],
        "sharpness": _mean_square(across) + _mean_square(down),
        "motion": _mean(_change(frames[1:], frames[:-1])[moved]),
        "dark_share": float(np.count_nonzero(grey < _DARK) / grey.size),
    }


def _change(here: Array, there: Array) -> Array:
    return np.asarray(cv2.absdiff(here, there)) if here.size else np.empty_like(here)


def _mean(values: Array) -> float:
    return cv2.mean(values)[0] if values.size else np.nan


def _mean_square(values: Array) -> float:
    return cv2.norm(values, cv2.NORM_L2SQR) / values.size if values.size else np.nan
