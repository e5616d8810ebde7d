"""Tell whether a video file is still the one that was read before: by its bytes, not by its times."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipfold.storage.hashing import file_digest
from clipfold.video.container import NotTheVideo

STAMP = ("size_bytes", "mtime_ns")
"""Facts of a file that show, at no cost, that nobody wrote to it."""


def stamp_of(path: str) -> dict[str, Any]:
    """Return `size_bytes` and `mtime_ns` of a file; nothing if there is none."""
    file = Path(path)
    if not file.is_file():
        return {}
    stat = file.stat()
    return {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def check_content(path: str, probed: Mapping[str, Any]) -> None:
    """Check that a file holds the bytes that were probed; its time may differ, as after restoring an archive.

    Args:
        path: the file.
        probed: its `size_bytes`, `mtime_ns` and `digest`; files with another stamp are read in full.

    Raises:
        NotTheVideo: the content differs.
    """
    stamp = stamp_of(path)
    if any(stamp.get(name) != probed[name] for name in STAMP) and (
        stamp.get("size_bytes") != probed["size_bytes"] or file_digest(path) != probed["digest"]
    ):
        raise NotTheVideo(f"{path} is not the file that was probed: run again")


def check_unchanged(path: str, before: Mapping[str, Any]) -> None:
    """Check that nobody wrote to a file since `before`, its stamp when reading began.

    Raises:
        NotTheVideo: the file was written to. Even the same bytes count: it may have been read half written.
    """
    if stamp_of(path) != before:
        raise NotTheVideo(f"{path} changed while it was read: run again")
