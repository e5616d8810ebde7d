"""Which videos each step shows, in which version.

Pure functions of the seed and the step: nothing has to be remembered to go on in the middle of an epoch.
"""

from collections.abc import Sequence

import numpy as np

from clipfold.storage.files import Array


def epoch_order(
    targets: Array, versions: Sequence[int], *, seed: int, epoch: int, balanced: bool
) -> tuple[Array, Array]:
    """Draw the order of one epoch.

    Args:
        targets: class of each video, int64 (videos,).
        versions: how many versions there are of each, itself and its copies.
        seed: of the fit.
        epoch: number of the epoch.
        balanced: draw as many of each class, with replacement, instead of each video once.

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
    """Seed of all that is drawn within a step (dropout, augmentation), below 2**63."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
