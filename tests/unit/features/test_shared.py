"""Test that what overlapping windows and groups share changes no feature."""

import numpy as np
import pytest

from clipfold.features import chroma, compression, flow, motion, noise, regions, temporal, texture
from clipfold.features.registry import GROUPS

RANDOM = np.random.default_rng(0)
TRACK = np.cumsum(RANDOM.integers(-3, 4, (60, 48, 64)), axis=0).clip(-90, 90).astype(np.int64)
STEPS = (TRACK + 128).astype(np.uint8)
CROPS = RANDOM.normal(100, 5, (12, 4, 33, 40))


@pytest.mark.parametrize(
    ("module", "shared", "frames", "length"),
    [
        (motion, flow._between, STEPS, 40),
        (regions, regions._regions, STEPS, 40),
        (temporal, temporal._quarters, STEPS, 40),
        (texture, texture._patterns, STEPS, 40),
        (chroma, chroma._measure, RANDOM.integers(0, 256, (12, 24, 32, 3), np.uint8), 4),
        (noise, noise._measure, CROPS.clip(0, 255).astype(np.uint8), 4),
        (compression, compression._measure, CROPS.clip(0, 255).astype(np.uint8), 4),
    ],
)
def test_overlapping_windows_share_most_work_and_have_the_features_of_each_alone(module, shared, frames, length):
    def compute(window, first):
        # Times of a window are those of the whole video: rounding differs from those of the frames cut out.
        times = first / 3 + np.arange(length) / 10
        return module.features(window, *([times] if GROUPS[module.__name__.rpartition(".")[2]].timed else []))

    windows = {first: frames[first : first + length] for first in range(0, len(frames) - length + 1, length // 4)}
    alone = []
    for window in windows.values():
        shared.cache_clear()
        alone.append(compute(window, 0))
    shared.cache_clear()
    # Views of other memory, with padding around it: only the pixels count.
    edges = [(1, 2), (3, 0)]
    padded = {n: np.pad(w, [(0, 0)] * (w.ndim - 2) + edges)[..., 1:-2, 3:] for n, w in windows.items()}
    assert [compute(window, first) for first, window in padded.items()] == alone
    assert len({tuple(values.values()) for values in alone}) == len(windows)
    used = shared.cache_info()
    assert used.misses <= len(frames)
    assert used.hits >= (len(windows) - 1) * (length * 3 // 4 - 2)  # some measure two or three neighbours


def test_groups_share_the_flow():
    track, times = STEPS[:9], np.arange(9) / 10
    flow._flow_of.cache_clear()
    motion.features(track, times)
    regions.features(track, times)
    assert flow._flow_of.cache_info()[:2] == (1, 1)


def test_pictures_of_another_shape_are_not_taken_for_the_same():
    frames = np.arange(4 * 16 * 36, dtype=np.uint8).reshape(4, 16, 36)
    times = np.arange(4) / 10
    first, second = motion.features(frames, times), motion.features(frames.reshape(4, 24, 24), times)
    flow._between.cache_clear()
    assert motion.features(frames.reshape(4, 24, 24), times) == second != first
