"""Pairs of videos that show the same: found by perceptual hashes, each verified on the pictures."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from clipfold.leakage.alignment import LEAST_SHARE, THRESHOLD, align, is_still, same_action, same_share
from clipfold.leakage.hashes import MIRROR, WINDOWS
from clipfold.storage.files import Array, PathLike, open_array, read_table, write_table

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "first": pa.string(),  # ids, the first before the second in the alphabet
        "second": pa.string(),
        # `copy` (the same pictures in the same order), `cut` (some pictures of one are in the other), `background` (the
        # same still background); before it `mirrored` or `cropped` where one shows the other so, as in `mirrored copy`
        "change": pa.string(),
        # normalised correlation of the two pictures after alignment; where things before a still background hide much
        # of it, the share of the picture that is the same
        "score": pa.float64(),
        "first_frame": pa.int16(),  # the stored frames of `clips` that resemble each other most
        "second_frame": pa.int16(),
    }
)
NEAR = 14
"""Bits of 64 in which a window's hash may differ from another background's."""

NEAR_WHOLE = 22
"""Bits of 64 in which a whole background's hash may differ: much of it may be hidden by what happens before it."""

NEAR_FRAME = 10
"""Bits of 64 in which two frames' hashes may differ."""

LEAST_FRAMES = 3
"""Frames of a video that must be near to frames of the other, where the backgrounds differ."""

MOST = 50
"""Partners of a video after which a further one is only looked at if the two are not known to belong together yet."""

_VIDEOS, _OTHERS = 64, 32  # of a block: its hashes and distances, a few MB, stay in a core's cache


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two videos whose hashes are near.

    Args:
        x: row of the video of which a window is near to the other.
        y: row of the other.
        bits: in which the hashes differ.
        mirrored: whether the other is near when mirrored.
        window: which of `WINDOWS`; the whole where frames are compared.
        frames: of `x` and `y`, near each other; none where backgrounds are.
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
    """Find the pairs of all shards' videos that show the same.

    All hashes are held against all others, block by block: memory stays at the hashes themselves (0.9 kB per video) and
    a few MB. Pairs of near hashes are verified on their pictures, which are read from disk as they are needed.

    Args:
        hashes: of `hashes.hash_shard`, by shard.
        pictures: of `hashes.hash_shard`, by shard.
        indices: of the decoded shards.
        output: table of `SCHEMA`, sorted by ids.
        threads: of the CPU.
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
    logger.info("%d videos: %d pairs show the same", len(ids), len(rows))


def find_pairs(hashes: Array, pictures_of: Any, threads: int = 1) -> list[dict[str, Any]]:
    """Find pairs by their hashes and verify them.

    Args:
        hashes: uint64 of (videos, windows + frames).
        pictures_of: row of a video -> its pictures, `uint8` of (1 + frames, size, size).
        threads: of the CPU.

    Returns:
        Per pair `x`, `y` (rows), `change`, `score`, `x_frame` and `y_frame`, as in `SCHEMA`.
    """
    clusters, partners = Clusters(len(hashes)), np.zeros(len(hashes), np.int64)
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
    """Candidates for the videos from `first` on, `_VIDEOS` of them, and all videos: of each pair the nearest window."""
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
    """Candidates for the videos from `first` on, `_VIDEOS` of them, and all later ones, by their frames."""
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
    """Look at the pictures of two videos; None where they do not show the same."""
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


class Clusters:
    """Sets of things that belong together, each of `count` in one of its own at first (Tarjan 1975)."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def find(self, each: int) -> int:
        """The set's least member."""
        while self._leader[each] != each:
            self._leader[each] = each = self._leader[self._leader[each]]
        return each

    def join(self, one: int, other: int) -> None:
        """Make one set of two."""
        low, high = sorted((self.find(one), self.find(other)))
        self._leader[high] = low
