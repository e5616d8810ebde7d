"""Compute perceptual hashes, which change little if a video is resized, recompressed, mirrored, cropped or cut.

The hash of a picture holds the signs of its 64 lowest frequencies (Zauner 2010, "Implementation and benchmarking of
perceptual image hash functions"). Hashes are taken of the frames and of the background, the median over the frames,
which all clips of a still camera share. Windows of the background are hashed too: a cropped near duplicate is near to
one of them. Mirroring a picture flips the sign of every other horizontal frequency, so its hash follows from the
original's.
"""

from itertools import product

import cv2
import numpy as np

from clipfold.storage.files import Array

SIZE = 64
"""Edge in pixels of the stored pictures: the content without black bars, stretched to a square."""

FRAMES = 16
"""Most frames to hash per video."""

_HASHED = 32
_SHARES = (10, 9, 8, 7)  # width or height of a window, in tenths of the picture's
_SPANS = [(first / 10, share / 10) for share in _SHARES for first in range(11 - share)]
WINDOWS = [(top, left, height, width) for (top, height), (left, width) in product(_SPANS, _SPANS)]
"""Windows of a picture as shares of its height and width: top, left, height, width. The first is the whole picture."""

_STEPS = np.arange(_HASHED)
_COSINES = np.cos(np.pi * (_STEPS[None] + 0.5) * _STEPS[:, None] / _HASHED).astype(np.float32)
_LOWEST = np.array(
    sorted(((i, j) for i, j in product(range(16), repeat=2) if i + j), key=lambda at: (sum(at), max(at), at))[:64]
)
_BLACK = 20  # grey levels; bars are darker


def hash_pictures(pictures: Array) -> Array:
    """Hash pictures.

    Args:
        pictures: grey pictures, float32 (pictures, 32, 32).

    Returns:
        Hashes, uint64 (pictures,).
    """
    frequencies = _COSINES @ pictures @ _COSINES.T
    bits = frequencies[:, _LOWEST[:, 0], _LOWEST[:, 1]] > 0
    return np.asarray(np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)[:, 0])


MIRROR = np.packbits(_LOWEST[:, 1] % 2 == 1).view(np.uint64)[0]
"""Mask of the bits that mirroring a picture flips in its hash."""


def hash_video(frames: Array) -> tuple[Array, Array]:
    """Hash a video's background and frames.

    Args:
        frames: `uint8` (frames, height, width, 3), RGB, without padding.

    Returns:
        Hashes, uint64 (windows + frames,), of each of `WINDOWS` of the background, then of each frame; and the grey
        pictures, `uint8` (1 + frames, `SIZE`, `SIZE`): the background, then the frames.
    """
    grey = content(frames)
    small = np.stack([cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for frame in grey])
    background = np.median(small, axis=0).astype(np.float32)
    parts = [
        background[round(SIZE * top) : round(SIZE * (top + height)), round(SIZE * left) : round(SIZE * (left + width))]
        for top, left, height, width in WINDOWS
    ]
    pictures = [*parts, *small.astype(np.float32)]
    reduced = np.stack([cv2.resize(each, (_HASHED, _HASHED), interpolation=cv2.INTER_AREA) for each in pictures])
    return hash_pictures(reduced), np.concatenate([background.astype(np.uint8)[None], small])


def content(frames: Array) -> Array:
    """Convert RGB frames to grey and crop black rows and columns off their edges, unless they are mostly dark."""
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    brightest = grey.max(axis=0)
    rows, columns = (np.flatnonzero((brightest > _BLACK).any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0 or np.ptp(rows) < grey.shape[1] / 3 or np.ptp(columns) < grey.shape[2] / 3:
        return grey
    return grey[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
