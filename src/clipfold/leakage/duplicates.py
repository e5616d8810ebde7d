"""Find duplicates: files with the same bytes, or segments with the same frames of the same bytes. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Video = Mapping[str, Any]


def identical(videos: Iterable[Video]) -> list[list[Video]]:
    """Return the sets, of two or more, of videos with identical content.

    >>> [[v["id"] for v in found] for found in identical([{"id": i, "digest": i[0]} for i in ("a1", "b1", "a2")])]
    [['a1', 'a2']]
    """
    same: dict[str, list[Video]] = defaultdict(list)
    for video in videos:
        same[video["digest"]].append(video)
    return [same_bytes for same_bytes in same.values() if len(same_bytes) > 1]
