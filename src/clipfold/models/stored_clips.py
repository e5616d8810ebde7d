"""Bring stored clips to the frames and the size that a network takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clipfold.clips.reader import scale_box
from clipfold.clips.resize import resize_clip
from clipfold.models.shared_clips import SharedClips
from clipfold.storage.files import Array
from clipfold.video.sampling import of_clip


def check_clips(clips: Array, size: int, frames: int, number: int = 1) -> int:
    """Check that clips are at least as large and as long as a network's, which takes a number of each video.

    Returns:
        The number of videos.

    Raises:
        ValueError: They have another type, fewer frames or fewer pixels.
    """
    square = clips.ndim == 5 and clips.shape[2] == clips.shape[3] and clips.shape[4] == 3
    if clips.dtype != np.uint8 or not square or clips.shape[1] < number * frames or clips.shape[2] < size:
        raise ValueError(
            f"clips is an array of {clips.dtype}{list(clips.shape)}: "
            f"use uint8 of (videos, {number * frames} or more frames, size, size, 3), with a size of {size} or more"
        )
    return len(clips)


def resized(clips: SharedClips, first: int, last: int, size: int, frames: int, number: int = 1, clip: int = 0) -> Array:
    """Take frames evenly from one clip of some videos and resize them as in training.

    Args:
        clips: The stored clips; those of a video follow each other.
        first: The first video.
        last: The one after the last.
        size: Edge of the result in pixels.
        frames: Frames to take.
        number: Clips of each video.
        clip: Which of them.

    Returns:
        uint8 (videos, frames, size, size, 3).
    """
    taken = of_clip(clips.stored.shape[1], frames, number, clip)
    made: Array = clips.once(
        (size, *taken), first, last, lambda some: np.stack([resize_clip(clip[taken], size) for clip in some])
    )
    return made


def scaled_boxes(boxes: Sequence[Any] | Array | None, clips: Array, size: int) -> Array:
    """Convert the content boxes of clips to those of the resized ones, int64 (videos, 4).

    Args:
        boxes: Top, left, height and width in pixels of `clips`; None: the whole square.
        clips: The clips.
        size: Edge of the resized clips in pixels.

    Raises:
        ValueError: There is another number of boxes than of clips.
    """
    count, stored = len(clips), clips.shape[2]
    given = [[0, 0, stored, stored]] * count if boxes is None else boxes
    scaled = np.array([scale_box(box, stored, size) for box in given], np.int64).reshape(-1, 4)
    if len(scaled) != count:
        raise ValueError(f"boxes has {len(scaled)} rows for {count} clips: pass one box per clip")
    return scaled
