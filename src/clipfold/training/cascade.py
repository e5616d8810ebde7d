"""The probability from which on a cascade takes its cheap member's answer, from videos that no member has seen."""

import numpy as np

from clipfold.storage.files import Array

NEVER = 2.0
"""No probability is that high."""


def sure_enough(cheap: Array, careful: Array, targets: Array, loss: float) -> float:
    """Find the lowest probability from which on the cheap member may answer.

    From the surest video down, the cheap member answers while the cascade names at most that share of the videos wrong
    that the careful one names right, those it mends set off (Viola and Jones 2001 reject so; here the loss is given).

    Args:
        cheap: Class probabilities, float (videos, classes).
        careful: The same by the other member.
        targets: Class indices, int64 (videos,).
        loss: Largest loss of accuracy, a share of the videos.

    Returns:
        A probability, or `NEVER`.

    >>> cheap = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> careful = np.array([[0.6, 0.4], [0.4, 0.6], [0.6, 0.4]])
    >>> [sure_enough(cheap, careful, np.array([0, 1, 0]), loss) for loss in (0, 0.4)]
    [0.9, 0.7]
    """
    sure = cheap.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    right, better = ((each.argmax(axis=1) == targets)[order].astype(int) for each in (cheap, careful))
    within = np.cumsum(better - right) <= loss * len(targets)
    answered = int(np.logical_and.accumulate(within).sum())
    while 0 < answered < len(order) and sure[order[answered - 1]] == sure[order[answered]]:
        answered -= 1  # equally sure, but beyond the loss
    return float(sure[order[answered - 1]]) if answered else NEVER
