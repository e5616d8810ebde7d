"""Find the windows of a long video in which everything is as it was in an earlier one."""

import cv2
import numpy as np

from clipfold.storage.files import Array

_BLOCK = 8
"""Edge in pixels of the parts that are compared: noise averages out, a person who is ten pixels tall does not."""


class Unchanged:
    """Comparison of each clip with the last one that differed from those before.

    That clip, not the one before, is the measure: a scene that changes slowly differs from it in the end.

    Args:
        most: Largest difference of the mean of any part of any frame, in grey levels, at which clips are the same; 0:
            all differ.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._last: Array | None = None

    def __call__(self, clip: Array) -> bool:
        """Tell whether a clip, uint8 (frames, height, width, channels), is the same as the last that differed."""
        if not self._most:
            return False
        height, width = (max(1, edge // _BLOCK) for edge in clip.shape[1:3])
        parts = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip]
        now = np.stack(parts).astype(np.float32)
        if self._last is not None and float(np.abs(now - self._last).max()) <= self._most:
            return True
        self._last = now
        return False
