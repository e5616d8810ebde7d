"""Choose the videos and versions that each step shows.

Pure functions of the seed and the step: resuming in the middle of an epoch needs no stored state.
"""

from collections.abc import Sequence

import numpy as np

from clipfold.storage.files import Array


def epoch_order(
    targets: Array, versions: Sequence[int], *, seed: int, epoch: int, balanced: bool
) -> tuple[Array, Array]:
    """Draw the order of one epoch.

    Args:
        targets: Class index of each video, int64 (videos,).
        versions: Number of versions of each video: itself and its augmented copies.
        seed: Seed of the fit.
        epoch: Number of the epoch.
        balanced: Draw equally many videos of each class, with replacement, instead of each video once.

    Returns:
        Indices of the videos and the version of each, both int64 (videos,).
    """
    random = np.random.default_rng([seed, epoch])
    if balanced:
        share = 1 / np.bincount(targets)[targets]
        videos = random.choice(len(targets), len(targets), p=share / share.sum())
    else:
        videos = random.permutation(len(targets))
    return videos, random.integers(np.asarray(versions)[videos])


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Derive the seed for everything random within a step (dropout, augmentation), below 2**63."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
