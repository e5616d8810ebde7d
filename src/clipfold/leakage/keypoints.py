"""Find the keypoints of a video: details by which part of a picture is known again, turned, or within another picture.

Keypoints are those of SIFT (Lowe 2004, "Distinctive image features from scale-invariant keypoints"). Those of a
mirrored picture, or of its negative, follow from the original's: the entries of the descriptors change places.
"""

from itertools import product

import cv2
import numpy as np

from clipfold.leakage.alignment import same_share
from clipfold.leakage.hashes import SIZE
from clipfold.storage.files import Array

KEYPOINT = np.dtype(
    [
        ("video", np.uint32),  # row
        ("picture", np.int8),  # frame, or `BACKGROUND`
        ("x", np.float32),  # pixels, from the middle of the top left pixel
        ("y", np.float32),
        ("size", np.float32),  # diameter in pixels
        ("angle", np.float32),  # degrees, clockwise
        ("descriptor", np.uint8, 128),
    ]
)
BACKGROUND = -1

EDGE = 112
"""Longer edge in pixels of the pictures that are searched."""

_FRAMES = 4  # frames to search if much moves
_MOST = {True: 150, False: 100}  # keypoints of a background, of a frame: the strongest
_ENLARGED = 1.5  # gives small parts of a picture enough keypoints
_CONTRAST = 0.02  # half of what is usual: videos taken at night count too
_STILL = 0.5  # least share of each frame that matches the background of a still camera

CHANGES = list(product((False, True), repeat=2))
"""Changes that keypoints do not survive unless they are changed likewise: mirrored, negative."""

_GRID = np.arange(128).reshape(4, 4, 8)  # of a descriptor: row, column, direction
_MIRRORED = _GRID[::-1][:, :, -np.arange(8) % 8].ravel()
_NEGATIVE = _GRID[::-1, ::-1].ravel()

ORDERS = np.stack([_GRID.ravel(), _NEGATIVE, _MIRRORED, _MIRRORED[_NEGATIVE]])
"""Order of the entries of a descriptor after each of `CHANGES`, int64 (changes, 128)."""


def fitted(frames: Array) -> Array:
    """Scale grey frames, `uint8` (frames, height, width), so that their longer edge has `EDGE` pixels."""
    height, width = frames.shape[1:]
    share = EDGE / max(height, width)
    size = max(8, round(width * share)), max(8, round(height * share))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def picture(frames: Array, number: int) -> Array:
    """Return the frame `number`, or the background: the median of the frames."""
    return frames[number] if number != BACKGROUND else np.median(frames, axis=0).astype(np.uint8)


def keypoints_of(frames: Array, row: int) -> Array:
    """Find the keypoints of a video: of its background and, if the camera or all else moves, of some frames.

    Args:
        frames: grey frames from `fitted`.
        row: the value of `video`.

    Returns:
        Keypoints, `KEYPOINT` (keypoints,).
    """
    background = picture(frames, BACKGROUND)
    square = [cv2.resize(each, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for each in (background, *frames[::4])]
    if min(same_share(square[0], each) for each in square[1:]) > _STILL:
        numbers = [BACKGROUND]
    else:
        count = min(_FRAMES, len(frames))
        numbers = [BACKGROUND] + [len(frames) * (2 * i + 1) // (2 * count) for i in range(count)]
    return np.concatenate([_find(picture(frames, number), row, number) for number in numbers])


def _find(grey: Array, row: int, number: int) -> Array:
    large = cv2.resize(grey, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
    sift = cv2.SIFT.create(_MOST[number == BACKGROUND], 3, _CONTRAST)
    points, descriptors = sift.detectAndCompute(large, None)
    found = np.zeros(len(points), KEYPOINT)
    found["video"], found["picture"] = row, number
    for each, point in zip(found, points, strict=True):
        each["x"], each["y"] = ((at + 0.5) / _ENLARGED - 0.5 for at in point.pt)
        each["size"], each["angle"] = point.size / _ENLARGED, point.angle
    if len(points):
        found["descriptor"] = descriptors
    return found


def changed(keypoints: Array, width: int, change: int) -> Array:
    """Return the keypoints that the pictures, `width` pixels wide, have after one of `CHANGES`."""
    mirrored, negative = CHANGES[change]
    done = keypoints.copy()
    if mirrored:
        done["x"], done["angle"] = width - 1 - done["x"], (180 - done["angle"]) % 360
    if negative:
        done["angle"] = (done["angle"] + 180) % 360
    done["descriptor"] = done["descriptor"][:, ORDERS[change]]
    return done
