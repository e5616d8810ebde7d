"""Find the videos that have keypoints in common, without comparing each with each.

Similar keypoints vote for the pictures that they are in, if they agree on the angle, the scale and the shift between
the two (Lowe 2004; Jégou, Douze & Schmid 2008).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

import numpy as np

from clipfold.leakage.words import SAMPLE, Vocabulary
from clipfold.storage.files import Array, PathLike, open_array
from clipfold.storage.replace import replacing

PARTNERS = 60
"""Most videos to verify for each, those with most votes."""

_PICTURES = 2  # pairs of pictures to verify for each pair of videos

_LEAST = 4  # votes
_WORDS = 6  # words to look up for each keypoint
_NEAR = 38  # most bits of 128 in which the signatures of similar keypoints differ
_MOST_NEAR = 100  # keypoints that may vote for each
_ANGLE, _OCTAVES, _SHIFT = 22.5, 0.5, 16.0  # half the size of a bin: degrees, octaves, pixels
_ANGLES = round(360 / _ANGLE)
_NEIGHBOURS = list(product((0, 1), repeat=2))  # each bin overlaps its neighbours by half
_RUN = 100  # parts of keypoints that are sorted at once: 2 million, 300 MB
_PLACE = np.dtype(
    [("video", np.uint32), ("picture", np.int8), *((name, np.float16) for name in ("x", "y", "octave", "angle"))]
)

_EMPTY = np.zeros(0, np.int32), np.zeros((0, 2), np.uint64), np.zeros(0, _PLACE)


class Ballot(NamedTuple):
    """Votes for a picture of another video."""

    votes: int
    video: int
    picture: int
    """Picture of the video that was asked about."""
    other: int
    """Picture of the other video."""
    change: int = 0
    """Index into `parts.CHANGES`."""


class Index:
    """The keypoints of all videos, by word: 29 bytes for each, possibly in mapped files.

    Args:
        vocabulary: the words.
        start: where the keypoints of each word start, and the last ones end, int64 (words + 1,).
        signature: signatures of the keypoints, uint64 (keypoints, 2).
        place: places of the keypoints, `_PLACE` (keypoints,); those of a word are sorted by video.
    """

    def __init__(self, vocabulary: Vocabulary, start: Array, signature: Array, place: Array) -> None:
        self._vocabulary, self._start, self._signature, self._place = vocabulary, start, signature, place

    @classmethod
    def build(cls, shards: Sequence[Array], videos: Sequence[int]) -> Self:
        """Index the keypoints of all shards in memory.

        Args:
            shards: arrays of `keypoints.KEYPOINT`, sorted by row.
            videos: number of videos of each shard.
        """
        vocabulary = _vocabulary(shards)
        word, signature, place = _read(vocabulary, _parts(shards, videos))
        return cls(vocabulary, _starts(np.bincount(word, minlength=vocabulary.size)), signature, place)

    @classmethod
    def write(cls, shards: Sequence[Array], videos: Sequence[int], files: Mapping[str, PathLike]) -> None:
        """Write what `build` makes into `files`, in memory that does not depend on the number of keypoints.

        Runs of keypoints are sorted by word, one at a time, and merged.
        """
        vocabulary, folder = _vocabulary(shards), Path(files["place"]).parent
        with TemporaryDirectory(dir=folder) as name:
            runs: list[list[Path]] = []
            counts = np.zeros(vocabulary.size, np.int64)
            parts = _parts(shards, videos)
            while part := list(islice(parts, _RUN)):
                columns = _read(vocabulary, part)
                counts += np.bincount(columns[0], minlength=vocabulary.size)
                runs.append([Path(name, f"{len(runs)}-{number}.npy") for number in range(len(columns))])
                for path, column in zip(runs[-1], columns, strict=True):
                    with replacing(path) as file:
                        np.save(file, column, allow_pickle=False)
            sorted_runs = [[open_array(path) for path in run] for run in runs]
            start = _starts(counts)
            for number, kind in ((1, "signature"), (2, "place")):
                like = _EMPTY[number]
                with replacing(files[kind]) as file:
                    header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False}
                    np.lib.format.write_array_header_1_0(file, header | {"shape": (int(start[-1]), *like.shape[1:])})
                    for first, last in _ranges(start):
                        file.write(_merged(sorted_runs, first, last, number).tobytes())
        for kind, array in (("start", start), ("vocabulary", vocabulary.numbers)):
            with replacing(files[kind]) as file:
                np.save(file, array, allow_pickle=False)

    @classmethod
    def open(cls, files: Mapping[str, PathLike]) -> Self:
        """Map what `write` wrote."""
        arrays = {kind: open_array(path) for kind, path in files.items()}
        vocabulary = Vocabulary.from_numbers(np.array(arrays.pop("vocabulary")))
        return cls(vocabulary, **arrays)

    def search(self, keypoints: Array, video: int, middle: tuple[float, float]) -> list[Ballot]:
        """Find the pictures of later videos that share keypoints with those of a video.

        Args:
            keypoints: those of the video, possibly as changed by `keypoints.changed`.
            video: its number.
            middle: x and y of the middle of its pictures.

        Returns:
            The ballots, most votes first: at most 2 for each of `PARTNERS` videos.
        """
        asked, found = self._similar(keypoints, video)
        x, y = _places(keypoints, 0)[asked], self._place[found]
        pair = (y["video"].astype(np.int64) * 256 + y["picture"] + 1) * 256 + x["picture"] + 1
        pairs, pair, counts = np.unique(pair, return_inverse=True, return_counts=True)
        often = counts[pair] >= _LEAST
        asked, found, pair, x, y = asked[often], found[often], pair[often], x[often], y[often]
        if not len(pair):
            return []
        turn, octaves = y["angle"].astype(np.float32) - x["angle"], y["octave"].astype(np.float32) - x["octave"]
        from_middle = x["x"] - middle[0] + 1j * (x["y"] - middle[1])
        to = y["x"] + 1j * y["y"] - 2.0**octaves * np.exp(1j * np.deg2rad(turn)) * from_middle
        angle, scale, across, down = (
            np.clip(np.floor(each), -120, 120).astype(np.int64)
            for each in (turn % 360 / _ANGLE, octaves / _OCTAVES, to.real / _SHIFT, to.imag / _SHIFT)
        )
        turned = [(pair * _ANGLES + (angle - a) % _ANGLES << 8) + scale - b + 128 for a, b in _NEIGHBOURS]
        kept = _crowded(np.concatenate(turned)).reshape(4, -1).any(axis=0)
        shifted = [((across[kept] - c + 128) << 8) + down[kept] - d + 128 for c, d in _NEIGHBOURS]
        bins = np.concatenate([(each[kept] << 16) + shift for each in turned for shift in shifted])
        full = np.flatnonzero(_crowded(bins))
        if not len(full):
            return []
        bins, match = bins[full], np.flatnonzero(kept)[full % kept.sum()]
        names, one = _distinct(bins, asked[match])
        _, other = _distinct(bins, found[match])
        best = np.zeros(len(pairs), np.int64)
        np.maximum.at(best, (names >> 24) // _ANGLES, np.minimum(one, other))
        most = np.argsort(-best, kind="stable")
        ballots = (
            Ballot(int(best[i]), int(pairs[i]) >> 16, (int(pairs[i]) & 255) - 1, (int(pairs[i]) >> 8 & 255) - 1)
            for i in most[best[most] >= _LEAST]
        )
        return strongest(ballots)

    def _similar(self, keypoints: Array, video: int) -> tuple[Array, Array]:
        """Return the indices of keypoints, and of those of later videos with the same word and a near signature."""
        words, signatures = self._vocabulary.read(keypoints["descriptor"], _WORDS)
        last = self._start[words + 1].ravel()
        first = self._later(self._start[words].ravel(), last, video)
        counts = last - first
        asked = np.repeat(np.repeat(np.arange(len(words)), words.shape[1]), counts)
        found = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        left, right = np.bitwise_count(self._signature[found] ^ signatures[asked]).T
        bits = left + right
        near = bits <= _NEAR
        asked, found, bits = asked[near], found[near], bits[near]
        # The nearest, where many videos have such a keypoint: else time grows with the square of their number.
        many = np.flatnonzero((np.bincount(asked, minlength=len(words)) > _MOST_NEAR)[asked])
        order = many[np.lexsort((bits[many], asked[many]))]
        first = np.searchsorted(asked[many], asked[order])  # `asked` ascends
        kept = np.ones(len(asked), bool)
        kept[order[np.arange(len(order)) - first >= _MOST_NEAR]] = False
        return asked[kept], found[kept]

    def _later(self, first: Array, last: Array, video: int) -> Array:
        """Return where the keypoints of later videos start in each word, which is sorted by video: by halving."""
        videos, first, last = self._place["video"], first.copy(), last.copy()
        while len(left := np.flatnonzero(first < last)):
            middle = (first[left] + last[left]) // 2
            later = videos[middle] > video
            last[left[later]], first[left[~later]] = middle[later], middle[~later] + 1
        return first


def strongest(ballots: Iterable[Ballot]) -> list[Ballot]:
    """Return the first 2 ballots for each of the first `PARTNERS` videos."""
    seen: Counter[int] = Counter()
    kept = []
    for ballot in ballots:
        if seen[ballot.video] < _PICTURES and (ballot.video in seen or len(seen) < PARTNERS):
            seen[ballot.video] += 1
            kept.append(ballot)
    return kept


def _vocabulary(shards: Sequence[Array]) -> Vocabulary:
    total = sum(map(len, shards))
    step = max(1, -(-total // SAMPLE))
    sample = [each["descriptor"][::step] for each in shards] if total else [np.zeros((1, 128), np.uint8)]
    return Vocabulary.learn(np.concatenate(sample)[:SAMPLE], total)


def _parts(shards: Sequence[Array], videos: Sequence[int]) -> Iterator[tuple[int, Array]]:
    """Yield the keypoints in parts, each with the number of the video in row 0 of its shard."""
    for shard, start in zip(shards, np.cumsum([0, *videos]).tolist(), strict=False):
        for at in range(0, len(shard), SAMPLE):
            yield start, shard[at : at + SAMPLE]


def _read(vocabulary: Vocabulary, parts: Iterable[tuple[int, Array]]) -> list[Array]:
    """Return word, signature and place of keypoints, sorted by word."""
    read = [_EMPTY]
    for start, part in parts:
        words, signature = vocabulary.read(part["descriptor"], 1)
        read.append((words[:, 0].astype(np.int32), signature, _places(part, start)))
    columns = [np.concatenate(column) for column in zip(*read, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]


def _starts(counts: Array) -> Array:
    return np.concatenate([[0], np.cumsum(counts)])


def _ranges(start: Array) -> Iterator[tuple[int, int]]:
    """Divide the words into ranges with about as many keypoints as a run has."""
    at = np.unique(np.searchsorted(start, np.arange(0, start[-1], _RUN * SAMPLE)))
    yield from pairwise([*at.tolist(), len(start) - 1])


def _merged(runs: Sequence[Sequence[Array]], first: int, last: int, number: int) -> Array:
    """Merge one column of the words from `first` on up to but without `last`, from runs sorted by word."""
    ends = [slice(*np.searchsorted(run[0], [first, last]).tolist()) for run in runs]
    words = np.concatenate([run[0][part] for run, part in zip(runs, ends, strict=True)])
    column = np.concatenate([run[number][part] for run, part in zip(runs, ends, strict=True)])
    return np.asarray(column[np.argsort(words, kind="stable")])


def _places(keypoints: Array, first: int) -> Array:
    places = np.zeros(len(keypoints), _PLACE)
    for name in ("picture", "x", "y", "angle"):
        places[name] = keypoints[name]
    places["video"], places["octave"] = keypoints["video"] + first, np.log2(keypoints["size"])
    return places


def _crowded(bins: Array) -> Array:
    """Return True for each entry whose bin may hold `_LEAST`: a quick count, in which a few bins share a place."""
    bits = max(8, len(bins).bit_length())
    place = (bins.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
    return np.asarray(np.bincount(place.astype(np.int64), minlength=1 << bits)[place] >= _LEAST)


def _distinct(bins: Array, values: Array) -> tuple[Array, Array]:
    """Return the bins, ascending, and the number of distinct values in each."""
    order = np.lexsort((values, bins))
    bins, values = bins[order], values[order]
    new = np.append(True, (bins[1:] != bins[:-1]) | (values[1:] != values[:-1]))
    names, counts = np.unique(bins[new], return_counts=True)
    return names, counts
