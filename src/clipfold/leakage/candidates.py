"""Find the pairs of videos with near hashes, of backgrounds or of frames: the candidates to verify on pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from clipfold.leakage.hashes import MIRROR
from clipfold.leakage.near import Near
from clipfold.storage.files import Array

NEAR = 14
"""Most bits of 64 in which the hash of a window may differ from that of another background."""

NEAR_WHOLE = 22
"""Most bits of 64 in which the hashes of two whole backgrounds may differ: moving things may hide much of them."""

NEAR_FRAME = 10
"""Most bits of 64 in which the hashes of two frames may differ."""

LEAST_FRAMES = 3
"""Least number of frames that must be near to frames of the other video if the backgrounds differ."""

MOST_SHARING = 4
"""Most other recordings, of a sample, in which a frame may occur before it tells nothing about the source."""

VIDEOS = 64
"""Videos to ask about at once."""

BACKGROUNDS_AT_ONCE = 512
"""Videos whose pictures are compared at once."""

WINDOWS_AT_ONCE, FRAMES_AT_ONCE = 1 << 16, 1 << 14
"""Videos among which windows and frames are looked up at once: if all are near, their pairs take 1 GB."""

_WINDOWS_OF, _FRAMES_OF = 8, 4  # videos whose windows and frames are looked up at once
_SAMPLE = 1000  # recordings
_TOLD = 32  # videos whose pairs are told together: the order decides which pairs of a large cluster are verified


CANDIDATE = np.dtype(
    [
        ("x", np.uint32),  # number of the first video, one window of which is near to the second
        ("y", np.uint32),
        ("bits", np.uint8),  # in which the hashes differ
        ("mirrored", bool),  # the second video is near when mirrored
        ("window", np.uint8),  # index into `WINDOWS`; 0, the whole picture, if frames are compared
        ("x_frame", np.int16),  # the frames that are near each other; -1 if backgrounds are compared
        ("y_frame", np.int16),
    ]
)
"""A pair of videos with near hashes."""

_COLUMNS = {"x": np.uint32, "y": np.uint32, "bits": np.uint8, "seen": np.uint8, "first": np.uint8}
_WINDOW = np.dtype(list(_COLUMNS.items()))
"""A pair by windows: `seen` is the nearest one, twice its number and one more if mirrored, `first` the first one."""


class Backgrounds:
    """The backgrounds of all videos, and their parts in a block of these.

    Args:
        whole: hashes of the whole backgrounds of all videos, uint64 (videos,).
        windows: hashes of all windows of the videos of the block, uint64 (videos, windows), the whole background first.
        first: number of the first of these, a multiple of `VIDEOS`.
    """

    def __init__(self, whole: Array, windows: Array, first: int = 0) -> None:
        self._whole, self._windows, self._first = whole, windows, first
        self._groups = range(0, len(windows), VIDEOS)

    def windows(self, first: int, spread: Callable[..., Iterable[Array]] = map) -> list[Array]:
        """Look up the windows of the block, mirrored too, among the `WINDOWS_AT_ONCE` backgrounds from `first` on.

        Args:
            first: number of the first of these.
            spread: function that calls another one with each item of a list, as `map` does.

        Returns:
            `_WINDOW` (pairs,), sorted by y, for each `VIDEOS` videos of the block.
        """
        others = Near(self._whole[first : first + WINDOWS_AT_ONCE], NEAR)
        return list(spread(partial(self._near_windows, others, first), self._groups))

    def _near_windows(self, others: Near, first: int, group: int) -> Array:
        found, count = [np.zeros(0, _WINDOW)], self._windows.shape[1]
        for at in range(group, min(group + VIDEOS, len(self._windows)), _WINDOWS_OF):
            asked = self._windows[at : min(at + _WINDOWS_OF, group + VIDEOS)]
            near = others.find(np.stack([asked, asked ^ MIRROR], axis=2).ravel())
            part = near.asked % (2 * count) > 0  # whole backgrounds have a wider bound
            x, seen = np.divmod(near.asked[part], 2 * count)
            found.append(_nearest(self._first + at + x, first + near.row[part], near.bits[part], seen, seen))
        together = np.concatenate(found)
        return together.take(np.argsort(together["y"], kind="stable"))

    def near(self, start: int, windows: Sequence[Array]) -> Iterator[Array]:
        """Compare a block with the `BACKGROUNDS_AT_ONCE` videos from `start` on; find the nearest window of each pair.

        Args:
            start: number of the first of these.
            windows: result of `windows` for backgrounds that these are among.

        Yields:
            `CANDIDATE` (candidates,), for each `VIDEOS` videos of the block.
        """
        others = Near(self._whole[start : start + BACKGROUNDS_AT_ONCE], NEAR_WHOLE)
        for group, found in zip(self._groups, windows, strict=True):
            first = self._first + group
            whole = others.find(self._windows[group : group + VIDEOS, 0])
            later = first + whole.asked < start + whole.row
            part = found[slice(*np.searchsorted(found["y"], [start, start + BACKGROUNDS_AT_ONCE]))]
            seen = np.zeros(later.sum(), np.int64)
            by_whole = first + whole.asked[later], start + whole.row[later], whole.bits[later], seen, seen
            columns = [np.concatenate([one, part[name]]) for one, name in zip(by_whole, _COLUMNS, strict=True)]
            best = _nearest(*columns)
            best = best[best["x"] != best["y"]]
            told = best.take(np.lexsort((best["y"], best["first"], best["x"], best["y"] // _TOLD)))
            window, mirrored = np.divmod(told["seen"], 2)
            yield _candidates(x=told["x"], y=told["y"], bits=told["bits"], mirrored=mirrored, window=window)


def _nearest(x: Array, y: Array, bits: Array, seen: Array, first: Array) -> Array:
    """Keep one of each pair, `_WINDOW` (pairs,): the nearest, of equally near ones the first."""
    order = np.lexsort((seen, bits, y, x))
    new = np.flatnonzero(np.append(True, (np.diff(x[order]) != 0) | (np.diff(y[order]) != 0))[: len(order)])
    found = np.zeros(len(new), _WINDOW)
    for name, column in (("x", x), ("y", y), ("bits", bits), ("seen", seen)):
        found[name] = column[order[new]]
    found["first"] = np.minimum.reduceat(first[order], new) if len(new) else 0
    return found


def common_frames(frames: Array, recording: Sequence[int]) -> Array:
    """Find the frames that many recordings share, such as titles and adverts, or that tell nothing, such as black ones.

    Args:
        frames: hashes of frames, uint64 (videos, frames).
        recording: number of the recording of each video, as far as it is known.

    Returns:
        bool (videos, frames): True if a frame is near to one of more than `MOST_SHARING` other recordings of a sample.
    """
    recordings = np.asarray(recording)
    first = np.flatnonzero(recordings == np.arange(len(recordings)))
    sample = first[:: max(1, -(-len(first) // _SAMPLE))]
    count = frames.shape[1]
    common, near = np.zeros(frames.shape, bool), Near(frames[sample].ravel(), NEAR_FRAME)
    for start in range(0, len(frames), VIDEOS):
        mine = frames[start : start + VIDEOS]
        found = near.find(mine.ravel())
        sharing = np.unique(found.asked * len(sample) + found.row // count)  # a frame and a recording
        asked, other = np.divmod(sharing, len(sample))
        apart = recordings[start + asked // count] != sample[other]
        number = np.bincount(asked[apart], minlength=mine.size)
        common[start : start + VIDEOS] = (number > MOST_SHARING).reshape(mine.shape)
    return common


class Frames:
    """The frames of all videos, to be compared with some of these.

    Args:
        frames: hashes, uint64 (videos, frames).
        common: frames that tell nothing, see `common_frames`.
        start: number of the first of the `FRAMES_AT_ONCE` videos to compare with.
    """

    def __init__(self, frames: Array, common: Array, start: int) -> None:
        self._frames, self._common, self._start = frames, common, start
        self._places = np.flatnonzero(~common[start : start + FRAMES_AT_ONCE])
        self._others = Near(frames[start : start + FRAMES_AT_ONCE].ravel()[self._places], NEAR_FRAME)

    def near(self, videos: range) -> Array:
        """Compare the frames of some videos with those that are later.

        Frames in common must be at least `LEAST_FRAMES`, and either different from each other, or half of a video's: a
        picture that stands still for a while may be a title.

        Returns:
            `CANDIDATE` (candidates,).
        """
        found = [np.zeros(0, CANDIDATE)]
        for first in videos[::_FRAMES_OF]:
            if first < self._start + FRAMES_AT_ONCE:
                found.append(self._near(first, min(first + _FRAMES_OF, videos.stop)))
        together = np.concatenate(found)
        return together.take(np.lexsort((together["y"], together["x"], together["y"] // _TOLD)))

    def _near(self, first: int, last: int) -> Array:
        count = self._frames.shape[1]
        asked = np.flatnonzero(~self._common[first:last])
        found = self._others.find(self._frames[first:last].ravel()[asked])
        x, a = np.divmod(first * count + asked[found.asked], count)
        y, b = np.divmod(self._start * count + self._places[found.row], count)
        later = np.flatnonzero(x < y)
        order = later[np.lexsort((b[later], a[later], found.bits[later], y[later], x[later]))]
        return self._enough(x[order], y[order], a[order], b[order], found.bits[order])

    def _enough(self, x: Array, y: Array, a: Array, b: Array, bits: Array) -> Array:
        """Return the pairs of videos that have enough near frames, from pairs of frames, sorted by x, y and bits."""
        count = self._frames.shape[1]
        least = min(LEAST_FRAMES, count)
        best = np.flatnonzero(np.diff(x * len(self._frames) + y, prepend=-1))
        pair = np.repeat(np.arange(len(best)), np.diff(best, append=len(x)))
        ours, theirs = (np.zeros((len(best), count), bool) for _ in range(2))
        ours[pair, a] = theirs[pair, b] = True
        several = np.minimum(ours.sum(axis=1), theirs.sum(axis=1)) >= least
        best, ours, theirs = (each.compress(several, axis=0) for each in (best, ours, theirs))
        new = [_differs(self._frames[each[best]]) for each in (x, y)]
        distinct = np.minimum((ours & new[0]).sum(axis=1), (theirs & new[1]).sum(axis=1))
        half = 2 * np.maximum(ours.sum(axis=1), theirs.sum(axis=1)) >= count
        told = best[(distinct >= least) | half]
        return _candidates(x=x[told], y=y[told], bits=bits[told], x_frame=a[told], y_frame=b[told])


def _candidates(**columns: Array) -> Array:
    made = np.zeros(len(columns["x"]), CANDIDATE)
    made["x_frame"] = made["y_frame"] = -1
    for name, values in columns.items():
        made[name] = values
    return made


def _differs(frames: Array) -> Array:
    """Return True for each frame that differs from all earlier ones of its video, bool (videos, frames)."""
    earlier = np.tri(frames.shape[1], k=-1, dtype=bool)
    new = np.ones(frames.shape, bool)
    for start in range(0, len(frames), VIDEOS):
        mine = frames[start : start + VIDEOS]
        apart = np.bitwise_count(mine[:, :, None] ^ mine[:, None, :]) > NEAR_FRAME
        new[start : start + VIDEOS] = (apart | ~earlier).all(axis=2)
    return new
