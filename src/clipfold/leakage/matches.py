"""Find near-duplicate pairs of videos by perceptual hashes and keypoints, and verify each on the pictures."""

import logging
from collections.abc import Callable, Iterable

import pyarrow as pa
from threadpoolctl import threadpool_limits

from clipfold.leakage.hashes import WINDOWS
from clipfold.leakage.keypoint_index import Index
from clipfold.leakage.pairs import Pair, Pairs
from clipfold.leakage.parts import Parts
from clipfold.leakage.search import Search, blocks_of
from clipfold.leakage.videos import Stored, Videos
from clipfold.storage.files import Array, PathLike, write_table
from clipfold.storage.job import keep_freed_memory

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


def match(stored: Stored, output: PathLike, threads: int) -> None:
    """Find the near-duplicate pairs among the videos of all shards, in one job.

    All hashes are compared with all others, block by block, and keypoints are looked up by word: memory use is 17 kB
    per video for the hashes and pictures, 38 bytes per keypoint (5 to 21 kB per video), and per thread a few MB, 400 MB
    if all videos are alike. Candidates are verified on their pictures, which are read from disk as needed.

    Args:
        stored: the files.
        output: output table of `SCHEMA`, sorted by ids.
        threads: CPU threads to use.
    """
    keep_freed_memory()
    videos = Videos(stored)
    keypoints = videos.keypoints()
    parts = Parts(keypoints, videos.counts, Index.build(keypoints, videos.counts), videos.grey)
    search = Search(videos.whole(), videos.windows, videos.frames(), videos.pictures, parts, threads)
    write_matches(videos, _search_all(search, 1).all(), output)


def write_matches(videos: Videos, pairs: Iterable[Pair], output: PathLike) -> None:
    """Write pairs as a table of `SCHEMA`, sorted by ids."""
    ids, rows = videos.ids(), []
    for pair in pairs:
        (first, first_frame), (second, second_frame) = sorted(
            ((ids[pair["x"]], pair["x_frame"]), (ids[pair["y"]], pair["y_frame"]))
        )
        rows.append(
            {"first": first, "second": second, "change": pair["change"], "score": pair["score"]}
            | {"first_frame": first_frame, "second_frame": second_frame}
        )
    write_table(output, sorted(rows, key=lambda row: (row["first"], row["second"])), SCHEMA)
    logger.info("%d videos: %d near-duplicate pairs", len(ids), len(rows))


def find_pairs(hashes: Array, pictures_of: Callable[[int], Array], threads: int = 1, blocks: int = 1) -> list[Pair]:
    """Find pairs by their hashes alone and verify them on the pictures.

    Args:
        hashes: hashes of all videos, uint64 (videos, windows + frames).
        pictures_of: function from the row of a video to its pictures, `uint8` (1 + frames, size, size).
        threads: CPU threads to use.
        blocks: number of blocks to search one by one.
    """
    windows, frames = hashes[:, : len(WINDOWS)], hashes[:, len(WINDOWS) :]
    search = Search(windows[:, 0], lambda block: windows[block.start : block.stop], frames, pictures_of, None, threads)
    return _search_all(search, blocks).all()


def _search_all(search: Search, blocks: int) -> Pairs:
    known, parts = Pairs(search.videos), blocks_of(search.videos, blocks)
    # Each of our threads multiplies small matrices: the library's own threads for these would wait for each other.
    with threadpool_limits(1):
        backgrounds = [search.backgrounds(part) for part in parts]
        search.decide(backgrounds, known)
        search.decide(map(search.parts, parts, backgrounds), known)
        common = search.common(known)
        search.decide([search.frames(block, common, known) for block in parts], known)
    return known
