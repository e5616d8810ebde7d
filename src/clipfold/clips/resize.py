"""Clips at the size that a model asks for."""

import logging

import cv2
import numpy as np

from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array

logger = logging.getLogger(__name__)


def resize_clip(clip: Array, size: int) -> Array:
    """Scale a clip down by area averaging.

    Args:
        clip: `uint8` of (frames, edge, edge, 3).
        size: edge of the result in pixels, at most that of the clip.

    Returns:
        `uint8` of (frames, size, size, 3); the clip itself if it has that size.
    """
    if clip.shape[1] == size:
        return clip
    return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA) for frame in clip])


def resize_shard(clips: PathLike, output: PathLike, size: int) -> None:
    """Scale an array of clips, (clips, frames, edge, edge, 3), one clip in memory at a time."""
    source = open_array(clips)
    with ArrayWriter(output, (source.shape[1], size, size, 3), np.uint8) as writer:
        for clip in source:
            writer.append(resize_clip(clip, size))
    logger.info("%d clips at %d pixels", len(source), size)
