"""Tell whether a video is still the one that was read before: by its bytes, not by its times."""

from collections.abc import Mapping
from typing import Any

from clipfold.image.source import size_of, source_digest, stamp_of
from clipfold.video.container import NotTheVideo


def check_content(path: str, probed: Mapping[str, Any]) -> None:
    """Check that a source holds the bytes that were probed; its time may differ, as after restoring an archive.

    Args:
        path: the file, folder or member of a tar file.
        probed: its `stamp`, `size_bytes` and `digest`; sources with another stamp are read in full.

    Raises:
        NotTheVideo: the content differs.
    """
    if stamp_of(path) != probed["stamp"] and (
        size_of(path) != probed["size_bytes"] or source_digest(path) != probed["digest"]
    ):
        raise NotTheVideo(f"{path} is not the file that was probed: run again")


def check_unchanged(path: str, before: str) -> None:
    """Check that nobody wrote to a source since `before`, its stamp when reading began.

    Raises:
        NotTheVideo: the source was written to. Even the same bytes count: it may have been read half written.
    """
    if stamp_of(path) != before:
        raise NotTheVideo(f"{path} changed while it was read: run again")
