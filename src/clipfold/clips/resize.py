"""Resize clips to the size that a model needs."""

import logging

import cv2
import numpy as np

from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array

logger = logging.getLogger(__name__)


def resize_clip(clip: Array, size: int) -> Array:
    """Shrink a clip by area averaging.

    Args:
        clip: `uint8` (frames, edge, edge, 3).
        size: edge of the result in pixels, at most the edge of the clip.

    Returns:
        `uint8` (frames, size, size, 3); the clip itself if it already has that size.
    """
    if clip.shape[1] == size:
        return clip
    return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA) for frame in clip])


def resize_shard(clips: PathLike, output: PathLike, size: int) -> None:
    """Resize an array of clips, with one clip in memory at a time.

    Args:
        clips: input array, `uint8` (clips, frames, edge, edge, 3).
        output: output array, `uint8` (clips, frames, size, size, 3).
        size: edge of the result in pixels.
    """
    source = open_array(clips)
    with ArrayWriter(output, (source.shape[1], size, size, 3), np.uint8) as writer:
        for clip in source:
            writer.append(resize_clip(clip, size))
    logger.info("resized %d clips to %d pixels", len(source), size)
