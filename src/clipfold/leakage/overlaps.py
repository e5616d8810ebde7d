"""Find segments that share some of their frames. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Video = Mapping[str, Any]


def overlapping(videos: Iterable[Video], group: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the pairs of videos of different groups that share frames of the same file, or of a copy of it.

    Videos with the same frames are no overlap but duplicates, see `duplicates`.

    Args:
        videos: rows with `id`, `bytes` (digest of the file), `first_frame` and `frames`, None where unknown.
        group: id -> group of each used video; others are ignored.

    Yields:
        `first` and `second`, ids in alphabetical order, and `frames`, the number of frames that they share.

    >>> videos = [{"id": i, "bytes": "f", "first_frame": 10 * k, "frames": 15} for k, i in enumerate("abc")]
    >>> list(overlapping(videos, {"a": "x", "b": "y", "c": "y"}))
    [{'first': 'a', 'second': 'b', 'frames': 5}]
    """
    of_file: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for video in videos:
        if video["id"] in group and video.get("bytes") and video.get("frames"):
            first = video["first_frame"]
            of_file[video["bytes"]].append((first, first + video["frames"], video["id"]))
    for segments in of_file.values():
        if len({group[name] for _, _, name in segments}) == 1:
            continue
        running: list[tuple[int, int, str]] = []
        for segment in sorted(segments):
            start, stop, name = segment
            running = [other for other in running if other[1] > start]
            for first, last, other in running:
                if group[other] != group[name] and (first, last) != (start, stop):
                    one, two = sorted((other, name))
                    yield {"first": one, "second": two, "frames": min(last, stop) - start}
            running.append(segment)
