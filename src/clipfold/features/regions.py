"""Moving regions: how many, how large and fast, the paths they take, and how they meet."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from clipfold.features.flow import MOVING, flow_of
from clipfold.features.series import TINY
from clipfold.storage.files import Array

_LEAST = 0.002  # share of the picture: smaller regions are noise
_NEAR = 0.15  # sizes between the centres of a region and of its continuation in the next step
COLUMNS = {
    "number": "regions",
    "number_spread": "regions",
    "area": "share of pixels",
    "largest_area": "share of pixels",
    "area_change": "log ratio",
    "fastest": "log10 sizes per second",
    "disorder": "ratio",
    "disorder_largest": "ratio",
    "distance": "sizes",
    "approach": "log10 sizes per second",
    "opposed": "cosine",
    "meetings": "per step",
    "path_length": "steps",
    "path_straightness": "ratio",
    "path_turning": "radians",
    "path_speed_spread": "log ratio",
}


class _Region(NamedTuple):
    label: int
    area: float
    centre: Array
    velocity: Array
    speed: float
    disorder: float


def features(track: Array, times: Array) -> dict[str, float]:
    """Compute statistics of connected regions that move, of their paths and of their neighbours.

    Args:
        track: `uint8` of (steps, height, width), the picture at a steady rate.
        times: Time of each step in seconds.

    Returns:
        A value for each of `COLUMNS`; all NaN for fewer than four steps; where no region moves, NaN but for numbers and
        areas. Means over the steps: `number`, `area` of a region, `largest_area`, `fastest` speed of a region,
        `disorder` (standard deviation of the velocity within a region over its mean speed; that of the largest region
        too), `distance` of a region to its nearest neighbour, `approach` of these two to each other, either way,
        `opposed` (cosine of their velocities), `meetings` (regions that merge or part). A region continues in the
        nearest one of the next step: `area_change`, and of paths of three steps and more `path_length`,
        `path_straightness` (distance of its ends over its length), `path_turning` per step, `path_speed_spread`.
    """
    if len(track) < 4 or min(track.shape[1:]) < 8:
        return dict.fromkeys(COLUMNS, np.nan)
    flow = flow_of(track, times)
    steps, labels = zip(*(_regions(step.tobytes(), step.shape) for step in flow.velocity), strict=True)
    counts = np.array([len(step) for step in steps])
    largest = [max(step, key=lambda region: region.area) for step in steps if step]
    every = [region for step in steps for region in step]
    values = dict.fromkeys(COLUMNS, np.nan) | {
        "number": float(counts.mean()),
        "number_spread": float(counts.std()),
        "area": float(np.mean([region.area for region in every])) if every else 0.0,
        "largest_area": sum(region.area for region in largest) / len(steps),
        "meetings": float(np.mean([_meetings(a, b) for a, b in pairwise(labels)])),
    }
    if not every:
        return values
    fastest = [max(region.speed for region in step) for step in steps if step]
    return (
        values
        | {
            "fastest": float(np.log10(np.median(fastest))),
            "disorder": float(np.mean([region.disorder for region in every])),
            "disorder_largest": float(np.mean([region.disorder for region in largest])),
        }
        | _neighbours(steps)
        | _paths(steps)
    )


@lru_cache(maxsize=128)  # overlapping windows of a long video have most steps in common
def _regions(step: bytes, shape: tuple[int, ...]) -> tuple[list[_Region], Array]:
    """List the moving regions of a step, and label their pixels: int32 (height, width), 0 for none."""
    velocity = np.frombuffer(step, np.float32).reshape(shape)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    size = np.sqrt(speed.size)
    # The fast part of a step: a slow drift that spans the picture joins all that moves.
    mask = (speed > max(MOVING, 0.25 * float(np.percentile(speed, 99)))).astype(np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    kept = np.zeros(count, np.int32)
    flat, areas = labels.ravel(), stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    sums = [np.bincount(flat, values.ravel(), count) for values in (velocity[..., 0], velocity[..., 1], speed)]
    squares = np.bincount(flat, speed.ravel().astype(np.float64) ** 2, count) / areas
    mean_x, mean_y, mean_speed = (values / areas for values in sums)
    for label in range(1, count):
        if areas[label] < _LEAST * speed.size:
            continue
        kept[label] = label
        mean = np.array([mean_x[label], mean_y[label]])
        disorder = np.sqrt(max(squares[label] - float((mean**2).sum()), 0.0)) / mean_speed[label]
        area = areas[label] / speed.size
        found.append(_Region(label, area, centres[label] / size, mean, float(mean_speed[label]), float(disorder)))
    return found, kept[labels]


def _meetings(before: Array, after: Array) -> int:
    """Count the regions that overlap more than one of the step before, or are overlapped by more than one of it."""
    both = (before > 0) & (after > 0)
    pairs = np.unique(np.stack([before[both], after[both]]), axis=1)
    return int(sum((np.unique(side, return_counts=True)[1] > 1).sum() for side in pairs))


def _neighbours(steps: tuple[list[_Region], ...]) -> dict[str, float]:
    distances, approaches, cosines = [], [], []
    for step in steps:
        for region in step:
            others = [other for other in step if other is not region]
            if others:
                other = min(others, key=lambda each: float(((each.centre - region.centre) ** 2).sum()))
                between = other.centre - region.centre
                distance = float(np.hypot(*between))
                distances.append(distance)
                relative = other.velocity - region.velocity
                approaches.append(abs(float((relative * between).sum())) / (distance + TINY))
                scale = float(np.hypot(*other.velocity) * np.hypot(*region.velocity))
                cosines.append(float((other.velocity * region.velocity).sum()) / (scale + TINY))
    if not distances:
        return {}
    return {
        "distance": float(np.mean(distances)),
        "approach": float(np.log10(np.mean(approaches) + 1e-3)),
        "opposed": float(np.mean(cosines)),
    }


def _paths(steps: tuple[list[_Region], ...]) -> dict[str, float]:
    paths = [path for path in _linked(steps) if len(path) > 2]
    if not paths:
        return {}
    changes = [np.abs(np.diff(np.log([region.area for region in path]))).mean() for path in paths]
    straight, turning, spread = [], [], []
    for path in paths:
        moves = np.diff([region.centre for region in path], axis=0)
        straight.append(float(np.hypot(*moves.sum(axis=0)) / (np.hypot(*moves.T).sum() + TINY)))
        angles = np.arctan2(*np.array([region.velocity for region in path]).T)
        turning.append(float(np.abs((np.diff(angles) + np.pi) % (2 * np.pi) - np.pi).mean()))
        spread.append(float(np.std(np.log([region.speed for region in path]))))
    return {
        "area_change": float(np.mean(changes)),
        "path_length": float(np.mean([len(path) for path in paths])),
        "path_straightness": float(np.mean(straight)),
        "path_turning": float(np.mean(turning)),
        "path_speed_spread": float(np.mean(spread)),
    }


def _linked(steps: tuple[list[_Region], ...]) -> list[list[_Region]]:
    """Link each region to the nearest one of the next step, each of these once, in order of distance."""
    done: list[list[_Region]] = []
    going: list[list[_Region]] = []
    for step in steps:
        pairs = sorted(
            (float(np.hypot(*(path[-1].centre - region.centre))), i, j)
            for i, path in enumerate(going)
            for j, region in enumerate(step)
        )
        taken: dict[int, int] = {}
        for distance, i, j in pairs:
            if distance < _NEAR and i not in taken and j not in taken.values():
                taken[i] = j
        done += [path for i, path in enumerate(going) if i not in taken]
        going = [going[i] + [step[j]] for i, j in taken.items()] + [
            [region] for j, region in enumerate(step) if j not in taken.values()
        ]
    return done + going
