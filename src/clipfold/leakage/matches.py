"""Find near-duplicate pairs of videos by perceptual hashes and keypoints, and verify each on the pictures."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from clipfold.leakage.alignment import LEAST_SHARE, THRESHOLD, align, is_still, same_action, same_share
from clipfold.leakage.candidates import NEAR, VIDEOS, Backgrounds, Candidate, Frames, common_frames
from clipfold.leakage.disjoint_sets import DisjointSets
from clipfold.leakage.hash_shard import Shard
from clipfold.leakage.hashes import WINDOWS
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
        "first_frame": pa.int16(),  # the most similar stored frames of the view that was searched
        "second_frame": pa.int16(),
    }
)
MOST = 50
"""Partners of a video after which a further pair is verified only if it would join two clusters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Files of all shards, in one order.

    Args:
        hashes: arrays of hashes from `hash_shard`.
        pictures: arrays of pictures from `hash_shard`.
        keypoints: arrays of keypoints from `hash_shard`.
        clips: arrays of the view that was searched.
        indices: indices of the decoded shards.
    """

    hashes: Sequence[PathLike]
    pictures: Sequence[PathLike]
    keypoints: Sequence[PathLike]
    clips: Sequence[PathLike]
    indices: Sequence[PathLike]


def match(stored: Stored, output: PathLike, threads: int) -> None:
    """Find the near-duplicate pairs among the videos of all shards.

    All hashes are compared with all others, block by block, and keypoints are looked up by word: memory use is 1.1 kB
    per video for the hashes, 29 bytes per keypoint (4 to 16 kB per video), and per thread a few MB, 400 MB if all
    videos are alike. Candidates are verified on their pictures, which are read from disk as needed.

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
        # Each of our threads multiplies small matrices: the library's own threads for these would wait for each other.
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            for number, found in enumerate(pool.map(lambda block: list(look(block)), blocks), 1):
                for each in found:
                    take(each)
                if number % 100 == 0 or number == len(blocks):
                    logger.info("%s: %d of %d blocks, %d pairs", stage, number, len(blocks), len(pairs))

    def candidate(each: Candidate) -> None:
        add(each.x, each.y, lambda: verified(each, pictures_of(each.x), pictures_of(each.y)))

    cv2.setNumThreads(1)
    starts = range(0, len(hashes), VIDEOS)
    search("backgrounds", starts, Backgrounds(hashes[:, : len(WINDOWS)]).near, candidate)
    if parts:
        search("parts", range(len(hashes)), parts.pairs, lambda pair: add(pair["x"], pair["y"], lambda: pair))
    frames = hashes[:, len(WINDOWS) :]
    common = common_frames(frames, [clusters.find(video) for video in range(len(hashes))])
    search("frames", starts, Frames(frames, common).near, candidate)
    return list(pairs.values())


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
