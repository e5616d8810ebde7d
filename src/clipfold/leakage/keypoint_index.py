"""Look up keypoints by their words, in an index in files that all processes map."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple, Self

import faiss
import numpy as np

from clipfold.checks import require
from clipfold.leakage.words import SAMPLE, Vocabulary
from clipfold.storage.files import Array, PathLike, open_array
from clipfold.storage.replace import replacing

FILES = ("start", "lists", "place", "vocabulary")
"""Kinds of the files of an index."""

PLACE = np.dtype(
    [
        ("video", np.uint32),
        ("picture", np.int8),
        ("change", np.uint8),  # index into `keypoints.CHANGES` of what makes the form that was indexed
        *((name, np.float16) for name in ("x", "y", "octave", "angle")),
    ]
)
"""Where a keypoint is."""

_WORDS = 16  # words to look up for each keypoint
_NEAR = 44  # most bits of 128 in which the signatures of similar keypoints differ
_MOST_NEAR = 100  # similar keypoints to tell of each
_RUN = 100  # parts of keypoints that are sorted at once: 2 million, 300 MB
_SIGNATURE, _ENTRY = 16, 24  # bytes: of a signature, and with its number

_EMPTY = np.zeros(0, np.int32), np.zeros((0, 2), np.uint64), np.zeros(0, PLACE)


class Similar(NamedTuple):
    """Pairs of similar keypoints.

    Args:
        asked: row of the keypoint that was asked about, int64 (pairs,).
        number: number of the other one, int64 (pairs,).
        place: where that is, `PLACE` (pairs,).
        change: index into `keypoints.CHANGES` of what makes the first like the second, int64 (pairs,).
    """

    asked: Array
    number: Array
    place: Array
    change: Array


class Index:
    """The keypoints of all videos, by word: 38 bytes for each.

    Args:
        files: those of `FILES`, from `write`.
        first: number of the first video to find keypoints of: earlier ones take no time.

    Raises:
        ValueError: they do not belong together.
    """

    def __init__(self, files: Mapping[str, PathLike], first: int = 0) -> None:
        self._vocabulary = Vocabulary.from_numbers(np.array(open_array(files["vocabulary"])))
        self._place = np.asarray(open_array(files["place"]))
        start = open_array(files["start"])
        self._lists = _mapped(Path(files["lists"]), start, self._vocabulary.size, self._place["video"], first)
        self._middles = faiss.IndexBinaryFlat(8 * _SIGNATURE)  # is asked for nothing: we name the words
        kind: Any = faiss.IndexBinaryIVF  # whose stub lacks the last argument: without lists of its own
        self._search = kind(self._middles, 8 * _SIGNATURE, self._vocabulary.size, False)
        self._search.replace_invlists(self._lists)
        self._search.is_trained, self._search.nprobe = True, 1

    @classmethod
    def build(cls, shards: Sequence[Array], videos: Sequence[int]) -> Self:
        """Index the keypoints of all shards in temporary files, which are gone once the index is.

        Args:
            shards: arrays of `keypoints.KEYPOINT`, sorted by row.
            videos: number of videos of each shard.
        """
        with TemporaryDirectory(prefix="clipfold-") as folder:
            files = {kind: Path(folder, kind) for kind in FILES}
            cls.write(shards, videos, files)
            return cls(files)

    @staticmethod
    def write(shards: Sequence[Array], videos: Sequence[int], files: Mapping[str, PathLike]) -> None:
        """Write the files of an index, in memory that does not depend on the number of keypoints.

        Runs of keypoints are sorted by word, one at a time, and merged.

        Args:
            shards: as for `build`.
            videos: as for `build`.
            files: where to write each of `FILES`.
        """
        vocabulary = _vocabulary(shards)
        with TemporaryDirectory(dir=Path(files["place"]).parent) as name:
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
            start = np.concatenate([[0], np.cumsum(counts)])
            with replacing(files["lists"]) as file:
                _write_header(file, np.dtype(np.uint8), _ENTRY * int(start[-1]))
                for first, last in _ranges(start):
                    signatures = _merged(sorted_runs, first, last, 1)
                    file.write(_lists(signatures, start[first : last + 1]).tobytes())
            with replacing(files["place"]) as file:
                _write_header(file, PLACE, int(start[-1]))
                for first, last in _ranges(start):
                    file.write(_merged(sorted_runs, first, last, 2).tobytes())
        for kind, array in (("start", start), ("vocabulary", vocabulary.numbers)):
            with replacing(files[kind]) as file:
                np.save(file, array, allow_pickle=False)

    def similar(self, keypoints: Array, video: int) -> Similar:
        """Find the keypoints of later videos that are similar to some, or would be if their pictures were changed.

        Args:
            keypoints: `keypoints.KEYPOINT` (keypoints,).
            video: number of their video.
        """
        read = self._vocabulary.read(keypoints["descriptor"], _WORDS, doubtful=True)
        faiss.omp_set_num_threads(1)  # holds for the calling thread alone
        signatures, words = read.signatures.view(np.uint8).reshape(-1, _SIGNATURE), read.words.reshape(-1, 1)
        limits, bits, found = self._search.range_search_preassigned(
            signatures, _NEAR + 1, words, np.zeros(words.shape, np.int32)
        )
        place = self._place.take(found)  # of records, far faster than by an index
        counts: Array = np.diff(limits.astype(np.int64))
        row = np.repeat(np.arange(words.size) // read.words.shape[1], counts)
        later = np.flatnonzero(place["video"] > video)
        kept = later[_nearest(row[later], bits[later])]
        row, place = row[kept], place.take(kept)
        return Similar(read.row[row], found[kept], place, read.change[row] ^ place["change"])


def places(keypoints: Array, first: int, change: Array | int = 0) -> Array:
    """Return where keypoints are, `PLACE` (keypoints,).

    Args:
        keypoints: `keypoints.KEYPOINT` (keypoints,).
        first: number of the video in row 0.
        change: see `PLACE`.
    """
    found = np.zeros(len(keypoints), PLACE)
    for name in ("picture", "x", "y", "angle"):
        found[name] = keypoints[name]
    found["video"], found["change"], found["octave"] = keypoints["video"] + first, change, np.log2(keypoints["size"])
    return found


def _nearest(row: Array, bits: Array) -> Array:
    """Return True for the `_MOST_NEAR` nearest of each row, which ascend.

    Many videos may have such a keypoint: then time would grow with the square of their number.
    """
    kept = np.ones(len(row), bool)
    many = np.flatnonzero((np.bincount(row) > _MOST_NEAR)[row])
    order = many[np.lexsort((bits[many], row[many]))]
    first = np.searchsorted(row[many], row[order])
    kept[order[np.arange(len(order)) - first >= _MOST_NEAR]] = False
    return kept


def _mapped(path: Path, start: Array, words: int, video: Array, first: int) -> faiss.OnDiskInvertedLists:
    """Map the lists of all words, without videos before `first`; what each has is checked, since faiss trusts it."""
    lists, count, size = open_array(path), np.diff(start), path.stat().st_size
    whole = lists.dtype == np.uint8 and lists.ndim == 1 and len(start) == words + 1 and start[0] == 0
    whole = whole and bool((count >= 0).all()) and _ENTRY * int(start[-1]) == len(lists) == _ENTRY * len(video)
    require(whole, "lists", str(path), "they do not belong to this index: delete its folder, and run again")
    mapped = faiss.OnDiskInvertedLists()
    mapped.nlist, mapped.code_size, mapped.read_only = words, _SIGNATURE, True
    mapped.filename, mapped.totsize = str(path), size
    # faiss takes the numbers to be behind the room for signatures: two left out at the front are one less of room.
    pairs = (_at(video, start, first) - start[:-1]) // 2
    at = size - len(lists) + _ENTRY * start[:-1] + 2 * _SIGNATURE * pairs
    facts = np.stack([count - 2 * pairs, count - pairs, at], axis=1).astype(np.uint64)  # size, room, place
    room: Any = mapped.lists
    room.resize(words)
    faiss.memcpy(room.data(), faiss.swig_ptr(facts), facts.nbytes)
    mapped.do_mmap()
    return mapped


def _at(values: Array, start: Array, least: int) -> Array:
    """Return where the values that are at least `least` begin in each of the sorted parts between `start`s, int64."""
    low, high = start[:-1].astype(np.int64), start[1:].astype(np.int64)
    while (open_ := np.flatnonzero(low < high)).size:
        middle = (low[open_] + high[open_]) // 2
        less = values.take(middle) < least
        low[open_[less]], high[open_[~less]] = middle[less] + 1, middle[~less]
    return low


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
    columns = [_EMPTY]
    for start, part in parts:
        read = vocabulary.read(part["descriptor"], 1)
        columns.append((read.words[:, 0].astype(np.int32), read.signatures[:, 0], places(part, start, read.change)))
    whole = [np.concatenate(column) for column in zip(*columns, strict=True)]
    order = np.argsort(whole[0], kind="stable")
    return [column[order] for column in whole]


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


def _lists(signatures: Array, start: Array) -> Array:
    """Lay out the lists of some words as faiss reads them: of each, all signatures, then their numbers; bytes."""
    number = np.arange(start[0], start[-1])
    before = np.repeat(start[:-1], np.diff(start))  # keypoints of earlier words
    count = np.repeat(np.diff(start), np.diff(start))
    at = 3 * (before - start[0]) + 2 * (number - before)  # in eights of bytes
    found = np.empty(3 * len(number), np.uint64)
    found[at], found[at + 1] = signatures.T
    found[3 * (before - start[0]) + 2 * count + number - before] = number
    return found


def _write_header(file: IO[bytes], dtype: np.dtype[Any], length: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, header)
