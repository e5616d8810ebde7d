"""Measure how far a video is from the training data: a prediction far from all of it is a guess.

A distance compares numbers on different scales. Each input is centred and divided by the interquartile range of the
training videos; sizes, durations and the like on a logarithmic scale, as twice as long is as far as half as long. The
distance to a training video is the root mean square over the inputs, the distance to the data is the mean of that to
the nearest training videos (Angiulli & Pizzuti 2002). It is divided by what is usual: the 95th percentile of the
training videos' own distances to videos of other groups, for a new video is of another group, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.storage.files import Array
from clipfold.storage.hashing import stable_hash

MOST = 2000
"""Training videos to compare with; more change the distance little and only take time."""
NEAREST = 3
PREFIX = "input."
USUAL = 95
"""Per cent of the training videos' own distances that are at most 1."""
_AT_ONCE = 128  # as many as stay in a core's cache against all training videos

_LOGARITHMIC = {
    "duration_s": 0.1,
    "fps": 1.0,
    "width": 1.0,
    "height": 1.0,
    "bits_per_pixel": 1e-3,
    "sharpness": 1.0,
    "motion": 0.1,
}
"""Inputs on a logarithmic scale -> the value below which differences do not matter."""
_SMALL = {"brightness": 5.0, "contrast": 5.0, "saturation": 5.0, "dark_share": 0.05, "audio": 0.5}
_COLUMN = "table."
_SMALL_OTHERWISE = 0.1  # on a logarithmic scale, about 10 %


def choose(ids: Sequence[str], most: int = MOST) -> list[int]:
    """Choose the training videos to compare with, by a hash of their ids: the same in any order and on any machine.

    Returns:
        Ascending positions, all of them if there are at most `most`.
    """
    return sorted(sorted(range(len(ids)), key=lambda i: (stable_hash(ids[i]), ids[i]))[:most])


def levels(name: str, values: Array) -> Array:
    """Put an input's values on the scale on which their differences matter; what is not finite becomes NaN."""
    known = np.where(np.isfinite(values), values, np.nan)
    return np.log(np.maximum(known, _LOGARITHMIC[name])) if name in _LOGARITHMIC else known


def original(name: str, level: float) -> float:
    """Return the value at a level."""
    return float(np.exp(level)) if name in _LOGARITHMIC else level


def small(name: str) -> float:
    """Return a small difference of an input, on the scale of `levels`; 0 for a column of a table, of unknown unit."""
    if name.startswith(_COLUMN):
        return 0.0
    return _SMALL.get(name, _SMALL_OTHERWISE)


class Reference:
    """The inputs of training videos, to measure distances from.

    Args:
        columns: Column -> values of the table of training videos: `group`, and an `input.NAME` for each input; NaN or
            None where a video has no value. Choose the rows by `choose` if there are many.

    Attributes:
        names: The inputs, without `input.`.
        ranges: Input -> first and 99th percentile of the training videos.
        own: The training videos' distances to videos of other groups, float64 of (videos,).

    Raises:
        ValueError: There are no inputs, or fewer than two groups, so that no distance is known to be usual.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.names = [name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX)]
        require(bool(self.names), "reference: columns", list(columns), f"give the inputs as `{PREFIX}NAME`")
        groups = np.unique(np.asarray(columns["group"], str), return_inverse=True)[1]
        found = int(groups.max(initial=-1)) + 1
        require(found > 1, "reference: number of groups", found, "distances need videos of two groups or more")
        values = np.array([columns[PREFIX + name] for name in self.names], np.float64).T
        points = self._levels(values)
        low, self._center, high = _percentiles(points, (25, 50, 75))
        # An input that all training videos share has no range; without a least one, any difference would be infinite.
        least = np.array([small(name) for name in self.names])
        self._scale = np.maximum(high - low, np.where(least > 0, least, _deviations(points)))
        self._points = (points - self._center) / self._scale
        self._low, self._high = _percentiles(self._points, (1, 99))
        ends = np.stack([self._low, self._high], axis=1) * self._scale[:, None] + self._center[:, None]
        self.ranges = {
            name: (original(name, float(low)), original(name, float(high)))
            for name, (low, high) in zip(self.names, ends, strict=True)
        }
        self._unit = 1.0
        self.own = self._distances(self._points, groups[:, None] == groups)
        # Copies of one picture in all groups would make any other infinitely far.
        self._unit = max(float(_percentiles(self.own[:, None], (USUAL,))[0, 0]), 0.01)
        self.own /= self._unit

    def distance(self, inputs: Mapping[str, float]) -> float:
        """Measure one new video, as `distances` does; inputs that it lacks count as NaN."""
        return float(self.distances(np.array([[inputs.get(name, np.nan) for name in self.names]]))[0])

    def distances(self, values: Array) -> Array:
        """Measure new videos.

        Args:
            values: Float of (videos, inputs), in the order of `names`. NaN and infinity are unknown: a distance is
                that over the inputs which both videos have.

        Returns:
            float64 of (videos,), 1 where only 5 % of the training videos are as far from other groups; NaN for a video
            that has no input in common with any training video.
        """
        return self._distances(self._standard(values))

    def unusual(self, inputs: Mapping[str, float]) -> list[str]:
        """List the inputs outside their `ranges`, the farthest first."""
        point = self._standard(np.array([[inputs.get(name, np.nan) for name in self.names]]))[0]
        beyond = np.fmax(self._low - point, point - self._high)
        return [self.names[i] for i in np.argsort(-beyond, kind="stable") if beyond[i] > 1e-9]

    def _standard(self, values: Array) -> Array:
        return np.asarray((self._levels(np.asarray(values, np.float64)) - self._center) / self._scale)

    def _levels(self, values: Array) -> Array:
        return np.stack([levels(name, column) for name, column in zip(self.names, values.T, strict=True)], axis=1)

    def _distances(self, points: Array, barred: Array | None = None) -> Array:
        """Measure standardised points; `barred` is True for training videos that do not count, (points, videos)."""
        there, known_there = np.nan_to_num(self._points), np.isfinite(self._points).astype(float)
        found = np.full(len(points), np.nan)
        for first in range(0, len(points), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            here, known_here = np.nan_to_num(points[part]), np.isfinite(points[part]).astype(float)
            # The square of a difference, multiplied out: products of matrices, each over the inputs that both have.
            squares = (here**2) @ known_there.T - 2 * here @ there.T + known_here @ (there**2).T
            common = known_here @ known_there.T
            squares = np.where(common > 0, np.maximum(squares, 0) / np.maximum(common, 1), np.inf)
            if barred is not None:
                squares[barred[part]] = np.inf
            nearest = np.sqrt(np.partition(squares, min(NEAREST, squares.shape[1]) - 1, axis=1)[:, :NEAREST])
            count = np.isfinite(nearest).sum(axis=1)
            total = np.where(np.isfinite(nearest), nearest, 0).sum(axis=1)
            found[part] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return found / self._unit


def _deviations(values: Array) -> Array:
    """Compute the standard deviation of each column, without NaN; 1 where all values are the same."""
    known = np.where(np.isfinite(values).any(axis=0), values, 0)
    deviations = np.nanstd(known, axis=0)
    return np.where(deviations > 0, deviations, 1)


def _percentiles(values: Array, which: Sequence[float]) -> Array:
    """Compute percentiles of each column, without NaN, float of (which, columns); 0 for a column without values."""
    known = np.where(np.isfinite(values).any(axis=0), values, 0)
    return np.asarray(np.nanpercentile(known, which, axis=0))
