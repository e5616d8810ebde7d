"""What overlapping windows share changes no feature."""

import numpy as np
import pytest

from clipfold.features import motion, noise

RANDOM = np.random.default_rng(0)
TRACK = np.cumsum(RANDOM.integers(-3, 4, (60, 48, 64)), axis=0).clip(-90, 90).astype(np.int64)
CROPS = RANDOM.normal(100, 5, (12, 4, 33, 40))


@pytest.mark.parametrize(
    ("module", "shared", "frames", "length"),
    [
        (motion, motion._flow_length_of, (TRACK + 128).astype(np.uint8), 40),
        (noise, noise._measure, CROPS.clip(0, 255).astype(np.uint8), 4),
    ],
)
def test_overlapping_windows_share_most_work_and_have_the_features_of_each_alone(module, shared, frames, length):
    windows = [frames[first : first + length] for first in range(0, len(frames) - length + 1, length // 4)]
    alone = []
    for window in windows:
        shared.cache_clear()
        alone.append(module.features(window))
    shared.cache_clear()
    # Views of other memory, with padding around it: only the pixels count.
    padded = [np.pad(window, [(0, 0)] * (window.ndim - 2) + [(1, 2), (3, 0)])[..., 1:-2, 3:] for window in windows]
    assert [module.features(window) for window in padded] == alone
    assert len({tuple(values.values()) for values in alone}) == len(windows)
    used = shared.cache_info()
    assert used.misses <= len(frames)
    assert used.hits >= (len(windows) - 1) * (length * 3 // 4 - 1)


def test_pictures_of_another_shape_are_not_taken_for_the_same():
    frames = np.arange(2 * 16 * 36, dtype=np.uint8).reshape(2, 16, 36)
    first, second = motion.features(frames), motion.features(frames.reshape(2, 24, 24))
    motion._flow_length_of.cache_clear()
    assert motion.features(frames.reshape(2, 24, 24)) == second != first
