"""Find near-duplicate pairs of videos by perceptual hashes and keypoints, and verify each on the pictures."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from clipfold.leakage.alignment import LEAST_SHARE, THRESHOLD, align, is_still, same_action, same_share
from clipfold.leakage.disjoint_sets import DisjointSets
from clipfold.leakage.hash_shard import Shard
from clipfold.leakage.hashes import MIRROR, WINDOWS
from clipfold.leakage.parts import Parts
from clipfold.storage.files import Array, PathLike, open_array, read_table, write_table

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "first": pa.string(),  # ids, in alphabetical order
        "second": pa.string(),
        # `copy` (the same frames in the same order), `cut` (some frames of one occur in the other) or `background` (the
        # same still background), after `mirrored`, `negative`, `turned` or `cropped` (one shows a part of the other's
        # picture) where these apply, as in `mirrored copy`
        "change": pa.string(),
        # normalised correlation of the two pictures where they overlap, after alignment; if much of a still background
        # is hidden, the share of the picture that matches
        "score": pa.float64(),
        "first_frame": pa.int16(),  # the most similar stored frames of `clips`
        "second_frame": pa.int16(),
    }
)
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

MOST = 50
"""Partners of a video after which a further pair is verified only if it would join two clusters."""

_SAMPLE = 1000  # recordings
_VIDEOS, _OTHERS = 64, 32  # size of a block: its hashes and distances, a few MB, stay in a core's cache


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Files of all shards, in one order.

    Args:
        hashes: arrays of hashes from `hash_shard`.
        pictures: arrays of pictures from `hash_shard`.
        keypoints: arrays of keypoints from `hash_shard`.
        clips: arrays of the view `clips`.
        indices: indices of the decoded shards.
    """

    hashes: Sequence[PathLike]
    pictures: Sequence[PathLike]
    keypoints: Sequence[PathLike]
    clips: Sequence[PathLike]
    indices: Sequence[PathLike]


def match(stored: Stored, output: PathLike, threads: int) -> None:
    """Find the near-duplicate pairs among the videos of all shards.

    All hashes are compared with all others, block by block, and keypoints are looked up by word: memory use is 0.9 kB
    per video for the hashes, 29 bytes per keypoint (4 to 16 kB per video) and a few MB. Candidates are verified on
    their pictures, which are read from disk as needed.

    Args:
        stored: the files.
        output: output table of `SCHEMA`, sorted by ids.
        threads: CPU threads to use.
    """
    ids: list[str] = []
    places: list[tuple[int, int]] = []
    for number, path in enumerate(stored.indices):
        kept = sorted((r["row"], r["id"]) for r in read_table(path, ["id", "row"]).to_pylist() if r["row"] is not None)
        ids += [each for _, each in kept]
        places += [(number, row) for row, _ in kept]
    arrays = [open_array(path) for path in stored.pictures]
    shards = [Shard(*paths) for paths in zip(stored.clips, stored.indices, strict=True)]
    parts = Parts(
        [open_array(path) for path in stored.keypoints],
        [len(shard) for shard in shards],
        lambda video: shards[places[video][0]].grey(places[video][1]),
    )
    found = find_pairs(
        np.concatenate([np.asarray(open_array(path)) for path in stored.hashes]),
        lambda video: arrays[places[video][0]][places[video][1]],
        threads,
        parts,
    )
    rows = []
    for pair in found:
        (first, first_frame), (second, second_frame) = sorted(
            ((ids[pair["x"]], pair["x_frame"]), (ids[pair["y"]], pair["y_frame"]))
        )
        rows.append(
            {"first": first, "second": second, "change": pair["change"], "score": pair["score"]}
            | {"first_frame": first_frame, "second_frame": second_frame}
        )
    write_table(output, sorted(rows, key=lambda row: (row["first"], row["second"])), SCHEMA)
    logger.info("%d videos: %d near-duplicate pairs", len(ids), len(rows))


def find_pairs(
    hashes: Array, pictures_of: Callable[[int], Array], threads: int = 1, parts: Parts | None = None
) -> list[dict[str, Any]]:
    """Find pairs by their hashes and keypoints and verify them on the pictures.

    Args:
        hashes: hashes of all videos, uint64 (videos, windows + frames).
        pictures_of: function from the row of a video to its pictures, `uint8` (1 + frames, size, size).
        threads: CPU threads to use.
        parts: search by keypoints; None to search by hashes alone.

    Returns:
        For each pair `x`, `y` (rows), `change`, `score`, `x_frame` and `y_frame`, as in `SCHEMA`.
    """
    clusters, partners = DisjointSets(len(hashes)), np.zeros(len(hashes), np.int64)
    pairs: dict[tuple[int, int], dict[str, Any]] = {}

    def add(x: int, y: int, verify: Callable[[], dict[str, Any] | None]) -> None:
        key = (min(x, y), max(x, y))
        if key in pairs or (clusters.find(x) == clusters.find(y) and max(partners[list(key)]) >= MOST):
            return
        if pair := verify():
            pairs[key] = pair
            clusters.join(x, y)
            partners[list(key)] += 1

    def search(stage: str, blocks: range, look: Callable[[int], Iterable[Any]], take: Callable[[Any], None]) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for number, found in enumerate(pool.map(lambda block: list(look(block)), blocks), 1):
                for each in found:
                    take(each)
                if number % 100 == 0 or number == len(blocks):
                    logger.info("%s: %d of %d blocks, %d pairs", stage, number, len(blocks), len(pairs))

    def candidate(each: Candidate) -> None:
        add(each.x, each.y, lambda: verified(each, pictures_of(each.x), pictures_of(each.y)))

    cv2.setNumThreads(1)
    starts = range(0, len(hashes), _VIDEOS)
    search("backgrounds", starts, lambda first: near_backgrounds(hashes, first), candidate)
    if parts:
        search("parts", range(len(hashes)), parts.pairs, lambda pair: add(pair["x"], pair["y"], lambda: pair))
    common = common_frames(hashes[:, len(WINDOWS) :], [clusters.find(video) for video in range(len(hashes))])
    search("frames", starts, lambda first: near_frames(hashes, first, common), candidate)
    return list(pairs.values())


def near_backgrounds(hashes: Array, first: int) -> Iterator[Candidate]:
    """Compare `_VIDEOS` videos from `first` on with all videos; yield the nearest window of each candidate pair."""
    windows = hashes[first : first + _VIDEOS, : len(WINDOWS)]
    whole = hashes[:, 0]
    for start in range(0, len(whole), _OTHERS):
        others = whole[start : start + _OTHERS]
        both = np.concatenate([others, others ^ MIRROR])
        bits = np.bitwise_count(windows.reshape(-1, 1) ^ both)
        near = bits <= NEAR
        later = np.arange(first, first + len(windows))[:, None] < np.arange(start, start + len(others))
        near[:: len(WINDOWS), : len(others)] = later & (bits[:: len(WINDOWS), : len(others)] <= NEAR_WHOLE)
        at, other = np.nonzero(near)
        if not len(at):
            continue
        best: dict[tuple[int, int], Candidate] = {}
        for flat, column in zip(at.tolist(), other.tolist(), strict=True):
            (video, window), (mirrored, partner) = divmod(flat, len(WINDOWS)), divmod(column, len(others))
            x, y, apart = first + video, start + partner, int(bits[flat, column])
            if x != y and ((x, y) not in best or apart < best[x, y].bits):
                best[x, y] = Candidate(x, y, apart, bool(mirrored), window)
        yield from best.values()


def common_frames(frames: Array, recording: Sequence[int]) -> Array:
    """Find the frames that many recordings share, such as titles and adverts, or that tell nothing, such as black ones.

    Args:
        frames: hashes of frames, uint64 (videos, frames).
        recording: number of the recording of each video, as far as it is known.

    Returns:
        bool (videos, frames): True if a frame is near to one of more than `MOST_SHARING` other recordings of a sample.
    """
    first = np.flatnonzero(np.asarray(recording) == np.arange(len(recording)))
    sample = first[:: max(1, -(-len(first) // _SAMPLE))]
    common = np.zeros(frames.shape, bool)
    for start in range(0, len(frames), _OTHERS):
        mine = frames[start : start + _OTHERS]
        sharing = np.zeros(mine.shape, np.int64)
        for other in sample:
            apart = np.asarray(recording[start : start + _OTHERS]) != other
            near = (np.bitwise_count(mine[:, :, None] ^ frames[other]) <= NEAR_FRAME).any(axis=2)
            sharing += near & apart[:, None]
        common[start : start + _OTHERS] = sharing > MOST_SHARING
    return common


def near_frames(hashes: Array, first: int, common: Array) -> Iterator[Candidate]:
    """Compare the frames of `_VIDEOS` videos from `first` on with those of all later videos; yield the candidates.

    Frames in common must be at least `LEAST_FRAMES`, and either different from each other, or half of a video's: a
    picture that stands still for a while may be a title.
    """
    frames = hashes[:, len(WINDOWS) :]
    count = frames.shape[1]
    least = min(LEAST_FRAMES, count)
    new = _differs(frames)
    for start in range(first, len(frames), _OTHERS):
        mine, others = slice(first, first + _VIDEOS), slice(start, start + _OTHERS)
        bits = np.bitwise_count(frames[mine].reshape(-1, 1) ^ frames[others].reshape(1, -1))
        near = (bits <= NEAR_FRAME).reshape(-1, count, len(frames[others]), count)
        near &= ~(common[mine, :, None, None] | common[others])
        ours, theirs = near.any(axis=3), near.any(axis=1)
        number = [ours.sum(axis=1), theirs.sum(axis=2)]
        distinct = [(ours & new[mine, :, None]).sum(axis=1), (theirs & new[others]).sum(axis=2)]
        enough = (np.minimum(*number) >= least) & (
            (np.minimum(*distinct) >= least) | (2 * np.maximum(*number) >= count)
        )
        for i, j in zip(*np.nonzero(enough), strict=True):
            x, y = first + int(i), start + int(j)
            if x < y:
                apart = np.where(near[i, :, j], bits.reshape(near.shape)[i, :, j], 64)
                a, b = divmod(int(apart.argmin()), count)
                yield Candidate(x, y, int(apart[a, b]), frames=(a, b))


def _differs(frames: Array) -> Array:
    """Return True for each frame that differs from all earlier ones of its video, bool (videos, frames)."""
    apart = np.bitwise_count(frames[:, :, None] ^ frames[:, None, :]) > NEAR_FRAME
    earlier = np.tri(frames.shape[1], k=-1, dtype=bool)
    return np.asarray((apart | ~earlier).all(axis=2))


def verified(candidate: Candidate, x: Array, y: Array) -> dict[str, Any] | None:
    """Compare the pictures of two videos; return the pair, or None if they are no near duplicates."""
    facts = {"x": candidate.x, "y": candidate.y}
    if candidate.frames:
        a, b = candidate.frames
        found = align(x[1 + a], y[1 + b], WINDOWS[0], mirrored=False)
        if found.score < THRESHOLD:
            return None
        return facts | {"change": "cut", "score": found.score, "x_frame": a, "y_frame": b}
    middle = (len(x) - 1) // 2
    facts |= {"x_frame": middle, "y_frame": middle}
    if candidate.bits <= NEAR:
        found = align(x[0], y[0], WINDOWS[candidate.window], mirrored=candidate.mirrored)
        if found.score >= THRESHOLD:
            kind = "copy" if same_action(x, y, found) else "background"
            how = ["mirrored"] * found.mirrored + ["cropped"] * found.cropped
            return facts | {"change": " ".join([*how, kind]), "score": found.score}
    if candidate.window or candidate.mirrored:
        return None
    share = same_share(x[0], y[0])
    if share < LEAST_SHARE or not (is_still(x) and is_still(y)):
        return None
    return facts | {"change": "background", "score": share}
