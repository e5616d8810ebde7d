"""Keep what a person says of the videos: labels and groups, joined with the facts of the files at the splits."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from clipfold.manifest.read import Video, read_manifest


def labels_digest(videos: Iterable[Video]) -> str:
    """Hash ids, labels and groups, in any order: 16 hexadecimal digits that other paths of whole files leave alone."""
    rows = sorted((video.id, video.label, video.group if video.grouped else video.file or None) for video in videos)
    return hashlib.blake2b(json.dumps(rows).encode(), digest_size=8).hexdigest()


def read_planned(manifest: str, columns: Mapping[str, str], separator: str, digest: str) -> list[Video]:
    """Read the manifest for a job, which is cheaper than to pass on a million rows.

    Raises:
        ValueError: ids, labels or groups are not those that the run was planned with.
    """
    videos = read_manifest(Path(manifest), columns, separator=separator)
    if labels_digest(videos) != digest:
        raise ValueError(f"{manifest} was edited since the run started: run again")
    return videos
