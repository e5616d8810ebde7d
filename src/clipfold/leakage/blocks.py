"""Search for near duplicates in jobs, each for a block of the videos: what `matches.match` does in one job.

`index_keypoints` comes first. Then `search_pictures` compares the backgrounds and keypoints of each block with those of
all videos; `join_recordings` puts the pairs together, which tells the recordings apart, and so the frames that tell
nothing; `search_frames` compares the frames of each block with those of all videos; `join_matches` writes the pairs of
all. The blocks change no result: see `pairs.Pairs`. A job maps the arrays of all videos, and holds of each 200 bytes,
of each of its block 25 kB, and 21 bytes of each candidate that is a pair, or settled; 1 GB more if all are alike.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
from threadpoolctl import threadpool_limits

from clipfold.leakage import pairs
from clipfold.leakage.keypoint_index import FILES, Index
from clipfold.leakage.matches import write_matches
from clipfold.leakage.pairs import PAIR, Pairs
from clipfold.leakage.parts import Parts
from clipfold.leakage.search import Search, blocks_of
from clipfold.leakage.videos import Stored, Videos
from clipfold.storage.files import PathLike, open_array, read_json, read_table, write_json, write_table
from clipfold.storage.job import keep_freed_memory
from clipfold.storage.replace import replacing

logger = logging.getLogger(__name__)


def index_keypoints(stored: Stored, index: Mapping[str, PathLike]) -> None:
    """Index the keypoints of all videos by word, in files that the jobs of all blocks map.

    Args:
        stored: the files of all videos.
        index: output files: `videos`, a list of these, and those of `keypoint_index.FILES`.
    """
    videos = Videos(stored)
    Index.write(videos.keypoints(), videos.counts, _keypoints(index))
    write_json(index["videos"], {kind: list(map(str, paths)) for kind, paths in asdict(stored).items()})


def search_pictures(
    index: Mapping[str, PathLike], block: int, blocks: int, backgrounds: PathLike, parts: PathLike
) -> None:
    """Compare the backgrounds and keypoints of a block with those of all videos.

    Args:
        index: files from `index_keypoints`.
        block: number of the block.
        blocks: number of all blocks.
        backgrounds: output table of `pairs.FOUND`.
        parts: output table of `pairs.FOUND`.
    """
    with _search(index, block, blocks) as (search, own):
        found = search.backgrounds(own)
        write_table(backgrounds, found)
        write_table(parts, search.parts(own, found))


def join_recordings(
    index: Mapping[str, PathLike],
    backgrounds: Sequence[PathLike],
    parts: Sequence[PathLike],
    output: PathLike,
    common: PathLike,
) -> None:
    """Put together what `search_pictures` found, and find the frames that tell nothing.

    Args:
        index: files from `index_keypoints`.
        backgrounds: tables of all blocks, in order.
        parts: likewise.
        output: output table of `pairs.FOUND`, the pairs.
        common: output array, see `candidates.common_frames`.
    """
    with _search(index) as (search, _):
        known = Pairs(search.videos)
        search.decide(map(read_table, [*backgrounds, *parts]), known)
        write_table(output, pairs.table_of(known.all()))
        with replacing(common) as file:
            np.save(file, search.common(known), allow_pickle=False)
        logger.info("%d pairs", len(known))


def search_frames(
    index: Mapping[str, PathLike], known: PathLike, common: PathLike, block: int, blocks: int, output: PathLike
) -> None:
    """Compare the frames of a block with those of all later videos.

    Args:
        index: files from `index_keypoints`.
        known: pairs from `join_recordings`.
        common: array from `join_recordings`.
        block: number of the block.
        blocks: number of all blocks.
        output: output table of `pairs.FOUND`.
    """
    with _search(index, block, blocks) as (search, own):
        write_table(output, search.frames(own, open_array(common), _pairs(search, known)))


def join_matches(index: Mapping[str, PathLike], known: PathLike, frames: Sequence[PathLike], output: PathLike) -> None:
    """Put together what all blocks found.

    Args:
        index: files from `index_keypoints`.
        known: pairs from `join_recordings`.
        frames: tables from `search_frames` of all blocks, in order.
        output: output table of `matches.SCHEMA`, sorted by ids.
    """
    with _search(index) as (search, _):
        joined = _pairs(search, known)
        search.decide(map(read_table, frames), joined)
    write_matches(Videos(_stored(index)), joined.all(), output)


@contextmanager
def _search(index: Mapping[str, PathLike], block: int = 0, blocks: int = 1) -> Iterator[tuple[Search, range]]:
    """Open the search, which finds the keypoints of videos of the block and later ones; yield it with the block."""
    keep_freed_memory()
    videos = Videos(_stored(index))
    own = blocks_of(len(videos), blocks)[block]
    parts = Parts(videos.keypoints(), videos.counts, Index(_keypoints(index), own.start), videos.grey)
    with threadpool_limits(1):
        yield Search(videos.whole(), videos.windows, videos.frames(), videos.pictures, parts), own


def _stored(index: Mapping[str, PathLike]) -> Stored:
    return Stored(**read_json(index["videos"]))


def _keypoints(index: Mapping[str, PathLike]) -> dict[str, PathLike]:
    return {kind: index[kind] for kind in FILES}


def _pairs(search: Search, known: PathLike) -> Pairs:
    return Pairs(search.videos, read_table(known, PAIR).to_pylist())
