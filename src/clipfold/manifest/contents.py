"""Tell which videos are still the ones that were probed, by their content. Standard library only.

A file may be moved, copied or restored from an archive without a change of its bytes. Each video therefore has a key
that stays while its content does: Snakemake compares keys, not places and times. Probing records the key of each video
with its digest and stamp (size and modification time); a file with another stamp is read once, to compare the digest.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clipfold.image.source import size_of, source_digest, stamp_of
from clipfold.manifest.paths import is_address
from clipfold.manifest.read import Video
from clipfold.status import Unusable
from clipfold.storage.records import parse_json, read_or_ignore
from clipfold.storage.replace import replacing


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a video when it was probed.

    Args:
        key: Its name for Snakemake: the stamp under which this content was first seen.
        stamp: The latest stamp of a file with this content.
        digest: BLAKE2b of the bytes, see `file_digest`; empty if the file could not be read.
    """

    key: str
    stamp: str
    digest: str


def stamp(path: str) -> str:
    """Return a source's size and time as text, see `stamp_of`, or `missing`.

    An address in storage stays as it is: Snakemake tracks what it holds.
    """
    if is_address(path):
        return path
    return stamp_of(path) or "missing"


def content_keys(videos: Iterable[Video], recorded: Mapping[str, Content]) -> dict[str, str]:
    """Return the key of each source: the recorded one while its stamp is known, else the stamp of the new content."""
    keys = {}
    for source, video in _by_source(videos).items():
        now, content = stamp(video.path), recorded.get(source)
        keys[source] = content.key if content and content.stamp == now else now
    return keys


def _by_source(videos: Iterable[Video]) -> dict[str, Video]:
    """Return one of the rows of each source: all rows of a file have the same content."""
    return {video.source: video for video in videos}


def read_contents(record: Path) -> dict[str, Content]:
    """Read the recorded contents of a shard: source -> content. An unreadable record is ignored with a warning."""
    return read_or_ignore(record, _contents) or {}


def _contents(text: bytes) -> dict[str, Content]:
    return {str(name): _content(entry) for name, entry in parse_json(text).items()}


def _content(entry: Mapping[str, str]) -> Content:
    content = Content(**entry)
    if not all(isinstance(value, str) for value in asdict(content).values()):
        raise TypeError(f"{entry} is not a content")
    return content


def write_contents(record: Path, contents: Mapping[str, Content]) -> None:
    """Record the contents of a shard, for `read_contents`."""
    entries = {name: asdict(content) for name, content in contents.items()}
    with replacing(record) as file:
        file.write((json.dumps(entries, indent=2) + "\n").encode())


def recognise(shards: Mapping[str, Sequence[Video]], record_of: Callable[[str], Path]) -> dict[str, dict[str, Content]]:
    """Find videos that have another stamp than when they were probed, but the same content.

    Files of the recorded size are read, several at once; a message on stderr says how many.

    Args:
        shards: Shard name -> its videos.
        record_of: Shard name -> the record of its contents.

    Returns:
        Shard name -> its contents with the new stamps, for shards that have such videos.
    """
    moved: list[tuple[str, Video, str, Content]] = []
    for shard, videos in shards.items():
        recorded = read_contents(record_of(shard))
        for source, video in _by_source(videos).items() if recorded else ():
            content, now = recorded.get(source), stamp(video.path)
            # Another size is other content.
            if content and now != content.stamp and _size(now) == _size(content.stamp):
                moved.append((shard, video, now, content))
    if not moved:
        return {}
    moved.sort(key=lambda each: each[1].path)  # members of an archive one after the other: it is listed once
    total = sum(size_of(video.path) for _, video, _, _ in moved) / 1e9
    print(f"{len(moved)} videos were moved or touched: comparing their content ({total:.2f} GB)", file=sys.stderr)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = pool.map(_digest, [video.path for _, video, _, _ in moved])
    same: dict[str, dict[str, Content]] = {}
    for (shard, video, now, content), digest in zip(moved, digests, strict=True):
        if digest == content.digest:
            contents = same.setdefault(shard, read_contents(record_of(shard)))
            contents[video.source] = replace(content, stamp=now)
    return same


def _size(text: str) -> str:
    return text.partition("-")[0]


def _digest(path: str) -> str:
    with suppress(OSError, Unusable):  # probing will say what is wrong with it
        return source_digest(path)
    return ""
