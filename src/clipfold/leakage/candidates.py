"""Find the pairs of videos with near hashes, of backgrounds or of frames: the candidates to verify on pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

_SAMPLE = 1000  # recordings
_BACKGROUNDS, _FRAMES = 512, 128  # videos to compare with at once: if all are near, their pairs take 400 MB
_TOLD = 32  # videos whose pairs are told together: the order decides which pairs of a large cluster are verified


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair of videos with near hashes.

    Args:
        x: row of the first video, one window of which is near to the second.
        y: row of the second video.
        bits: number of bits in which the hashes differ.
        mirrored: True if the second video is near when mirrored.
        window: index into `WINDOWS`; 0, the whole picture, if frames are compared.
        frames: the two frames, of `x` and `y`, that are near each other; None if backgrounds are compared.
    """

    x: int
    y: int
    bits: int
    mirrored: bool = False
    window: int = 0
    frames: tuple[int, int] | None = None


class Backgrounds:
    """The backgrounds of all videos.

    Args:
        hashes: uint64 (videos, windows), the whole background first.
    """

    def __init__(self, hashes: Array) -> None:
        self._hashes = hashes
        self._blocks = [
            (start, Near(hashes[start : start + _BACKGROUNDS, 0])) for start in range(0, len(hashes), _BACKGROUNDS)
        ]

    def near(self, first: int) -> Iterator[Candidate]:
        """Compare `VIDEOS` videos from `first` on with all videos; yield the nearest window of each candidate pair."""
        windows = self._hashes[first : first + VIDEOS]
        count = windows.shape[1]
        for start, block in self._blocks:
            whole = block.find(windows[:, 0], NEAR_WHOLE)
            later = first + whole.asked < start + whole.row
            as_is, mirrored = block.find(windows.ravel(), NEAR), block.find(windows.ravel() ^ MIRROR, NEAR)
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
            new = np.flatnonzero(np.diff(x[by_bits] * len(self._hashes) + y[by_bits], prepend=-1))
            best, foremost = by_bits[new], seen[by_window[new]]
            told = best[np.lexsort((y[best], foremost, x[best], y[best] // _TOLD))]
            for i in told[x[told] != y[told]].tolist():
                yield Candidate(int(x[i]), int(y[i]), int(bits[i]), bool(flipped[i]), int(window[i]))


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
    """The frames of all videos.

    Args:
        frames: hashes, uint64 (videos, frames).
        common: frames that tell nothing, see `common_frames`.
    """

    def __init__(self, frames: Array, common: Array) -> None:
        self._frames, self._common, self._new = frames, common, _differs(frames)
        self._blocks = []
        for start in range(0, len(frames), _FRAMES):
            places = np.flatnonzero(~common[start : start + _FRAMES])
            self._blocks.append((start, places, Near(frames[start : start + _FRAMES].ravel()[places])))

    def near(self, first: int) -> Iterator[Candidate]:
        """Compare the frames of `VIDEOS` videos from `first` on with those of all later videos; yield the candidates.

        Frames in common must be at least `LEAST_FRAMES`, and either different from each other, or half of a video's: a
        picture that stands still for a while may be a title.
        """
        count = self._frames.shape[1]
        asked = np.flatnonzero(~self._common[first : first + VIDEOS])
        hashes = self._frames[first : first + VIDEOS].ravel()[asked]
        for start, places, block in self._blocks[first // _FRAMES :]:
            found = block.find(hashes, NEAR_FRAME)
            x, a = np.divmod(first * count + asked[found.asked], count)
            y, b = np.divmod(start * count + places[found.row], count)
            later = np.flatnonzero(x < y)
            order = later[np.lexsort((b[later], a[later], found.bits[later], y[later], x[later]))]
            yield from self._enough(x[order], y[order], a[order], b[order], found.bits[order])

    def _enough(self, x: Array, y: Array, a: Array, b: Array, bits: Array) -> Iterator[Candidate]:
        """Yield the pairs of videos that have enough near frames, from pairs of frames, sorted by x, y and bits."""
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
        for i in told[np.lexsort((y[told], x[told], y[told] // _TOLD))].tolist():
            yield Candidate(int(x[i]), int(y[i]), int(bits[i]), frames=(int(a[i]), int(b[i])))


def _differs(frames: Array) -> Array:
    """Return True for each frame that differs from all earlier ones of its video, bool (videos, frames)."""
    earlier = np.tri(frames.shape[1], k=-1, dtype=bool)
    new = np.ones(frames.shape, bool)
    for start in range(0, len(frames), VIDEOS):
        mine = frames[start : start + VIDEOS]
        apart = np.bitwise_count(mine[:, :, None] ^ mine[:, None, :]) > NEAR_FRAME
        new[start : start + VIDEOS] = (apart | ~earlier).all(axis=2)
    return new
