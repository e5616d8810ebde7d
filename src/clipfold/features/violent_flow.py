"""Violent flow: how often, and how unevenly, the speed of motion changes (Hassner et al. 2012)."""

import cv2
import numpy as np

from clipfold.features.flow import flow_of
from clipfold.features.series import entropy, gini
from clipfold.storage.files import Array

BINS, CELLS = 10, 4
_JUMPS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # sizes per second
COLUMNS = (
    {f"change_{number}": "share of pixels" for number in range(BINS)}
    | {f"jump_{number}": "share of pixels" for number in range(1, len(_JUMPS))}
    | {
        "change_mean": "share of steps",
        "change_entropy": "share of the largest",
        "cell_highest": "share of steps",
        "cell_spread": "share of steps",
        "cell_concentration": "Gini coefficient",
        "cell_burstiness": "Gini coefficient",
    }
)


def features(track: Array, times: Array) -> dict[str, float]:
    """Compute the violent-flow descriptor, with one histogram for the picture: few videos cannot learn one per cell.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.
        times: Time of each step in seconds.

    Returns:
        A value for each of `COLUMNS`; all NaN for fewer than four steps. A pixel changes in a step if its speed changes
        by more than the step's mean change. `change_B`: pixels by the share of steps in which they change, in 10 bins;
        `change_mean` and `change_entropy` of these shares; `cell`: of their means in 4 x 4 cells, the highest, the
        standard deviation and the Gini coefficient; `cell_burstiness`: Gini coefficient of the mean change of a cell
        over time, mean over the cells. `jump_B`: pixels and steps by the size of the change, in bins with the edges
        0.05, 0.1, 0.2, 0.4, 0.8 and 1.6 sizes per second (without the lowest).
    """
    if len(track) < 4 or min(track.shape[1:]) < 8:
        return dict.fromkeys(COLUMNS, np.nan)
    change = np.abs(np.diff(flow_of(track, times).speed, axis=0))
    often = (change > change.mean(axis=(1, 2), keepdims=True)).mean(axis=0)
    histogram = np.bincount(np.minimum((often * BINS).astype(int), BINS - 1).ravel(), minlength=BINS) / often.size
    cells = cv2.resize(often, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    over_time = np.stack([cv2.resize(step, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for step in change])
    jumps = np.bincount(np.digitize(change.ravel(), _JUMPS[1:]), minlength=len(_JUMPS)) / change.size
    return (
        {f"change_{number}": float(share) for number, share in enumerate(histogram)}
        | {f"jump_{number}": float(jumps[number]) for number in range(1, len(_JUMPS))}
        | {
            "change_mean": float(often.mean()),
            "change_entropy": entropy(histogram),
            "cell_highest": float(cells.max()),
            "cell_spread": float(cells.std()),
            "cell_concentration": gini(cells),
            "cell_burstiness": float(np.mean([gini(cell) for cell in over_time.reshape(len(change), -1).T])),
        }
    )
