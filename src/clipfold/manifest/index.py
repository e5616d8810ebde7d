"""An index of the planned videos, from which the start of a job reads its shard alone. Standard library only.

A run writes it before its first job: a file of rows, shard by shard, and a file of facts with the place of each shard.
Their name is a hash of the manifest's content and of all that decides the plan, so that a job whose manifest or
settings are others finds none, and reads the manifest itself.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from clipfold.manifest.read import Video
from clipfold.storage.hashing import file_digest, stable_hash
from clipfold.storage.records import parse_json, read_or_ignore
from clipfold.storage.replace import replacing, write_whole

_NAMES = [field.name for field in fields(Video)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is planned of all videos together.

    Args:
        videos: Number of videos.
        folds: Number of folds.
        labels: Digest of ids, labels and groups, see `labels_digest`.
    """

    videos: int
    folds: int
    labels: str

    def __post_init__(self) -> None:
        if [type(value) for value in astuple(self)] != [int, int, str]:
            raise TypeError(f"{self} are no facts")


class Shards(Mapping[str, Sequence[Video]]):
    """The shards of an index, each read when it is asked for.

    Args:
        rows: File with a line of JSON for each shard.
        places: Shard name -> first byte and length of its line.
    """

    def __init__(self, rows: Path, places: Mapping[str, tuple[int, int]]) -> None:
        self._rows, self._places = rows, places

    def __getitem__(self, shard: str) -> list[Video]:
        start, length = self._places[shard]
        with open(self._rows, "rb") as file:
            file.seek(start)
            return list(map(_video, parse_json(file.read(length))))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _video(row: Sequence[Any]) -> Video:
    facts = dict(zip(_NAMES, row, strict=True))
    return Video(**facts | {"values": tuple(facts["values"])})


class Videos(Collection[Video]):
    """The videos of all shards of an index."""

    def __init__(self, shards: Shards, count: int) -> None:
        self._shards, self._count = shards, count

    def __contains__(self, video: object) -> bool:
        return any(video == each for each in self)

    def __iter__(self) -> Iterator[Video]:
        return chain.from_iterable(self._shards.values())

    def __len__(self) -> int:
        return self._count


def index_key(manifest: Path, decides: Mapping[str, Any]) -> str:
    """Hash a manifest's place and content, and what decides the plan, to 32 hexadecimal digits."""
    text = json.dumps([str(manifest), file_digest(manifest), decides], sort_keys=True)
    return f"{stable_hash(text, 16):032x}"


def write_index(folder: Path, key: str, facts: Facts, shards: Mapping[str, Sequence[Video]]) -> None:
    """Write the index of a plan and remove those of earlier plans.

    Raises:
        OSError: It cannot be written.
    """
    rows, places, start = folder / f"{key}.rows", {}, 0
    with replacing(rows) as file:
        for name, videos in shards.items():
            line = json.dumps([[getattr(video, name) for name in _NAMES] for video in videos]).encode() + b"\n"
            places[name] = (start, len(line))
            start += file.write(line)
    index = folder / f"{key}.json"
    write_whole(index, json.dumps({"facts": asdict(facts), "places": places}).encode() + b"\n")
    for path in {*folder.glob("*.rows"), *folder.glob("*.json")} - {rows, index}:
        with suppress(OSError):
            path.unlink()


def read_index(folder: Path, key: str) -> tuple[Facts, Shards] | None:
    """Read an index: its facts and its shards. None if there is none, or, with a warning, if it is odd in any way."""
    return read_or_ignore(folder / f"{key}.json", partial(_parse, folder / f"{key}.rows"))


def _parse(rows: Path, content: bytes) -> tuple[Facts, Shards]:
    found = parse_json(content)
    places = {str(name): (int(start), int(length)) for name, (start, length) in found["places"].items()}
    if os.path.getsize(rows) != sum(length for _, length in places.values()):
        raise ValueError(f"{rows} is cut")
    return Facts(**found["facts"]), Shards(rows, places)
