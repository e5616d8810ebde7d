"""Find the pairs of videos with near hashes, of backgrounds or of frames: the candidates to verify on pictures."""

from collections.abc import Iterator, Sequence

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

BACKGROUNDS_AT_ONCE, FRAMES_AT_ONCE = 512, 128
"""Videos to compare with at once: if all are near, their pairs take 400 MB."""

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


class Backgrounds:
    """The backgrounds of all videos, and their parts in a block of these.

    Args:
        whole: hashes of the whole backgrounds of all videos, uint64 (videos,).
        windows: hashes of all windows of the videos of the block, uint64 (videos, windows), the whole background first.
        first: number of the first of these, a multiple of `VIDEOS`.
    """

    def __init__(self, whole: Array, windows: Array, first: int = 0) -> None:
        self._whole, self._windows, self._first = whole, windows, first

    def near(self, start: int) -> Iterator[Array]:
        """Compare a block with the `BACKGROUNDS_AT_ONCE` videos from `start` on; find the nearest window of each pair.

        Yields:
            `CANDIDATE` (candidates,), for each `VIDEOS` videos of the block.
        """
        others, count = Near(self._whole[start : start + BACKGROUNDS_AT_ONCE]), self._windows.shape[1]
        for at in range(0, len(self._windows), VIDEOS):
            first, windows = self._first + at, self._windows[at : at + VIDEOS]
            whole = others.find(windows[:, 0], NEAR_WHOLE)
            later = first + whole.asked < start + whole.row
            as_is, mirrored = others.find(windows.ravel(), NEAR), others.find(windows.ravel() ^ MIRROR, NEAR)
            part = as_is.asked % count > 0  # the whole backgrounds are found above
            x, window = np.divmod(
                np.concatenate([whole.asked[later] * count, as_is.asked[part], mirrored.asked]), count
            )
            y = np.concatenate([whole.row[later], as_is.row[part], mirrored.row])
            bits = np.concatenate([whole.bits[later], as_is.bits[part], mirrored.bits])
            flipped = np.arange(len(y)) >= len(y) - len(mirrored.row)
            x, y = first + x, start + y
            seen = 2 * window + flipped  # of equally near windows the first counts
            by_bits, by_window = np.lexsort((seen, bits, y, x)), np.lexsort((seen, y, x))
            new = np.flatnonzero(np.diff(x[by_bits] * len(self._whole) + y[by_bits], prepend=-1))
            best, foremost = by_bits[new], seen[by_window[new]]
            told = best[np.lexsort((y[best], foremost, x[best], y[best] // _TOLD))]
            told = told[x[told] != y[told]]
            yield _candidates(x=x[told], y=y[told], bits=bits[told], mirrored=flipped[told], window=window[told])


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
    common, near = np.zeros(frames.shape, bool), Near(frames[sample].ravel())
    for start in range(0, len(frames), VIDEOS):
        mine = frames[start : start + VIDEOS]
        found = near.find(mine.ravel(), NEAR_FRAME)
        sharing = np.unique(found.asked * len(sample) + found.row // count)  # a frame and a recording
        asked, other = np.divmod(sharing, len(sample))
        apart = recordings[start + asked // count] != sample[other]
        number = np.bincount(asked[apart], minlength=mine.size)
        common[start : start + VIDEOS] = (number > MOST_SHARING).reshape(mine.shape)
    return common


class Frames:
    """The frames of all videos, and those of a block of these.

    Args:
        frames: hashes, uint64 (videos, frames).
        common: frames that tell nothing, see `common_frames`.
        first: number of the first video of the block, a multiple of `VIDEOS`.
        last: number after that of the last one.
    """

    def __init__(self, frames: Array, common: Array, first: int, last: int) -> None:
        self._frames, self._common, self._new = frames, common, _differs(frames)
        self._first, self._last = first, last

    def near(self, start: int) -> Iterator[Array]:
        """Compare the frames of a block with those of the `FRAMES_AT_ONCE` videos from `start` on, if these are later.

        Frames in common must be at least `LEAST_FRAMES`, and either different from each other, or half of a video's: a
        picture that stands still for a while may be a title.

        Yields:
            `CANDIDATE` (candidates,), for each `VIDEOS` videos of the block.
        """
        count = self._frames.shape[1]
        places = np.flatnonzero(~self._common[start : start + FRAMES_AT_ONCE])
        others = Near(self._frames[start : start + FRAMES_AT_ONCE].ravel()[places])
        for first in range(self._first, self._last, VIDEOS):
            mine = slice(first, min(first + VIDEOS, self._last) if first < start + FRAMES_AT_ONCE else first)
            asked = np.flatnonzero(~self._common[mine])
            found = others.find(self._frames[mine].ravel()[asked], NEAR_FRAME)
            x, a = np.divmod(first * count + asked[found.asked], count)
            y, b = np.divmod(start * count + places[found.row], count)
            later = np.flatnonzero(x < y)
            order = later[np.lexsort((b[later], a[later], found.bits[later], y[later], x[later]))]
            yield self._enough(x[order], y[order], a[order], b[order], found.bits[order])

    def _enough(self, x: Array, y: Array, a: Array, b: Array, bits: Array) -> Array:
        """Return the pairs of videos that have enough near frames, from pairs of frames, sorted by x, y and bits."""
        count = self._frames.shape[1]
        least = min(LEAST_FRAMES, count)
        best = np.flatnonzero(np.diff(x * len(self._frames) + y, prepend=-1))
        pair = np.repeat(np.arange(len(best)), np.diff(best, append=len(x)))
        ours, theirs = (np.zeros((len(best), count), bool) for _ in range(2))
        ours[pair, a] = theirs[pair, b] = True
        number = [ours.sum(axis=1), theirs.sum(axis=1)]
        distinct = [(ours & self._new[x[best]]).sum(axis=1), (theirs & self._new[y[best]]).sum(axis=1)]
        enough = (np.minimum(*number) >= least) & (
            (np.minimum(*distinct) >= least) | (2 * np.maximum(*number) >= count)
        )
        told = best[enough]
        told = told[np.lexsort((y[told], x[told], y[told] // _TOLD))]
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
