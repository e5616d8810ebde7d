"""Find near-duplicate pairs of videos by perceptual hashes and verify each on the pictures."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from clipfold.leakage.alignment import LEAST_SHARE, THRESHOLD, align, is_still, same_action, same_share
from clipfold.leakage.disjoint_sets import DisjointSets
from clipfold.leakage.hashes import MIRROR, WINDOWS
from clipfold.storage.files import Array, PathLike, open_array, read_table, write_table

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "first": pa.string(),  # ids, in alphabetical order
        "second": pa.string(),
        # `copy` (the same frames in the same order), `cut` (some frames of one occur in the other) or `background` (the
        # same still background), after `mirrored` or `cropped` where that applies, as in `mirrored copy`
        "change": pa.string(),
        # normalised correlation of the two pictures after alignment; if much of a still background is hidden, the share
        # of the picture that matches
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

MOST = 50
"""Partners of a video after which a further pair is verified only if it would join two clusters."""

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


def match(
    hashes: Sequence[PathLike],
    pictures: Sequence[PathLike],
    indices: Sequence[PathLike],
    output: PathLike,
    threads: int,
) -> None:
    """Find the near-duplicate pairs among the videos of all shards.

    All hashes are compared with all others, block by block: memory use is the hashes themselves (0.9 kB per video) plus
    a few MB. Pairs with near hashes are verified on their pictures, which are read from disk as needed.

    Args:
        hashes: arrays of hashes from `hashes.hash_shard`, by shard.
        pictures: arrays of pictures from `hashes.hash_shard`, by shard.
        indices: indices of the decoded shards.
        output: output table of `SCHEMA`, sorted by ids.
        threads: CPU threads to use.
    """
    ids: list[str] = []
    places: list[tuple[int, int]] = []
    for shard, path in enumerate(indices):
        stored = sorted(
            (r["row"], r["id"]) for r in read_table(path, ["id", "row"]).to_pylist() if r["row"] is not None
        )
        ids += [each for _, each in stored]
        places += [(shard, row) for row, _ in stored]
    arrays = [open_array(path) for path in pictures]
    found = find_pairs(
        np.concatenate([np.asarray(open_array(path)) for path in hashes]),
        lambda video: arrays[places[video][0]][places[video][1]],
        threads,
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


def find_pairs(hashes: Array, pictures_of: Any, threads: int = 1) -> list[dict[str, Any]]:
    """Find pairs by their hashes and verify them on the pictures.

    Args:
        hashes: hashes of all videos, uint64 (videos, windows + frames).
        pictures_of: function from the row of a video to its pictures, `uint8` (1 + frames, size, size).
        threads: CPU threads to use.

    Returns:
        For each pair `x`, `y` (rows), `change`, `score`, `x_frame` and `y_frame`, as in `SCHEMA`.
    """
    clusters, partners = DisjointSets(len(hashes)), np.zeros(len(hashes), np.int64)
    pairs: dict[tuple[int, int], dict[str, Any]] = {}

    def add(candidates: Sequence[Candidate]) -> None:
        for each in candidates:
            key = (min(each.x, each.y), max(each.x, each.y))
            known = clusters.find(each.x) == clusters.find(each.y) and max(partners[list(key)]) >= MOST
            if key in pairs or known:
                continue
            if pair := verified(each, pictures_of(each.x), pictures_of(each.y)):
                pairs[key] = pair
                clusters.join(each.x, each.y)
                partners[list(key)] += 1

    cv2.setNumThreads(1)
    starts = range(0, len(hashes), _VIDEOS)
    with ThreadPoolExecutor(threads) as pool:
        for stage, search in (("backgrounds", near_backgrounds), ("frames", near_frames)):
            for number, candidates in enumerate(pool.map(lambda first, s=search: list(s(hashes, first)), starts), 1):
                add(candidates)
                if number % 100 == 0 or number == len(starts):
                    logger.info("%s: %d of %d blocks, %d pairs", stage, number, len(starts), len(pairs))
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


def near_frames(hashes: Array, first: int) -> Iterator[Candidate]:
    """Compare the frames of `_VIDEOS` videos from `first` on with those of all later videos; yield the candidates."""
    frames = hashes[:, len(WINDOWS) :]
    count = frames.shape[1]
    for start in range(first, len(frames), _OTHERS):
        mine, others = frames[first : first + _VIDEOS], frames[start : start + _OTHERS]
        bits = np.bitwise_count(mine.reshape(-1, 1) ^ others.reshape(1, -1))
        near = (bits <= NEAR_FRAME).reshape(len(mine), count, len(others), count)
        enough = np.minimum(near.any(axis=3).sum(axis=1), near.any(axis=1).sum(axis=2)) >= min(LEAST_FRAMES, count)
        for i, j in zip(*np.nonzero(enough), strict=True):
            x, y = first + int(i), start + int(j)
            if x < y:
                apart = bits.reshape(near.shape)[i, :, j]
                a, b = divmod(int(apart.argmin()), count)
                yield Candidate(x, y, int(apart[a, b]), frames=(a, b))


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
