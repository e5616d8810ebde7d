"""Divide videos into shards, the unit of a data job. Standard library only."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from operator import attrgetter, itemgetter

from clipfold.checks import require
from clipfold.manifest.read import Video
from clipfold.storage.hashing import stable_hash

_SMALL, _LARGE = 256, 1024  # videos
_MANY = 250_000  # videos


def capacity(videos: int, shard_size: int) -> int:
    """Return the most videos of a shard: `shard_size`; if it is 0, 256, and 1,024 for more than 250,000 videos.

    Snakemake spends 2 ms on each job, so a million videos want larger ones. There is one threshold, since all data jobs
    run again at it.
    """
    return shard_size or (_LARGE if videos > _MANY else _SMALL)


def shard_videos(videos: Iterable[Video], capacity: int) -> dict[str, list[Video]]:
    """Divide videos into shards by the hash of their ids; segments by that of their file, which is decoded at once.

    The shard `k-of-S` holds the ids whose hash modulo S is k; S is a power of two. A shard that would exceed `capacity`
    is split in two while the others stay, so adding a video changes one shard, whatever the number of videos
    (extendible hashing, Fagin et al. 1979). A file is not split, so more segments of it than `capacity` are one shard.

    Args:
        videos: Videos in any order; the result does not depend on it.
        capacity: Most videos in a shard, at least 1.

    Returns:
        Shard name -> its videos, sorted by source and id; names are sorted.

    Raises:
        ValueError: `capacity` is below 1.
    """
    require(capacity >= 1, "shard_size", capacity, "use 1 or more videos per shard")
    placed = sorted(((_place(video.source), video) for video in videos), key=itemgetter(0))
    shards = {name: [video for _, video in rows] for name, rows in _split(placed, 0, 1, capacity)}
    return {name: sorted(shards[name], key=attrgetter("source", "id")) for name in sorted(shards)}


def _place(source: str) -> int:
    """Return the hash of a source with its bits reversed: the sources of a shard follow each other, as do its halves.

    >>> f"{_place('a.mp4'):064b}"[::-1] == f"{stable_hash('a.mp4'):064b}"
    True
    """
    return int(f"{stable_hash(source):064b}"[::-1], 2)


def group_shards(shards: Iterable[str], most: int) -> dict[str, list[str]]:
    """Group shards for jobs that take several; like shards, groups stay as they are when others are split.

    The group `k-of-S` has all shards whose videos' hash modulo S is k; a single shard is a group of its own name.

    Args:
        shards: Names of shards.
        most: Most shards in a group, at least 1.

    Returns:
        Group name -> names of its shards, sorted.

    Raises:
        ValueError: `most` is below 1.

    >>> group_shards(["0-of-2", "1-of-4", "3-of-4"], 2)
    {'0-of-2': ['0-of-2'], '1-of-2': ['1-of-4', '3-of-4']}
    """
    require(most >= 1, "embed.shards", most, "use 1 or more shards per job")
    return dict(_grouped([(int(name.partition("-of-")[0]), name) for name in sorted(shards)], 0, 1, most))


def _grouped(shards: list[tuple[int, str]], k: int, modulus: int, most: int) -> Iterator[tuple[str, list[str]]]:
    if len(shards) <= most:
        if shards:
            yield shards[0][1] if len(shards) == 1 else f"{k}-of-{modulus}", [name for _, name in shards]
        return
    for half in (k, k + modulus):
        yield from _grouped([each for each in shards if each[0] % (2 * modulus) == half], half, 2 * modulus, most)


_Placed = tuple[int, Video]


def _split(rows: list[_Placed], k: int, modulus: int, capacity: int) -> Iterator[tuple[str, list[_Placed]]]:
    """Split rows, sorted by place, of which the first bits are those of `k`."""
    if len(rows) <= capacity or rows[0][0] == rows[-1][0]:
        if rows:
            yield f"{k}-of-{modulus}", rows
        return
    first = int(f"{k + modulus:064b}"[::-1], 2)  # the first place of the second half
    middle = bisect_left(rows, first, key=itemgetter(0))
    yield from _split(rows[:middle], k, 2 * modulus, capacity)
    yield from _split(rows[middle:], k + modulus, 2 * modulus, capacity)
