"""Probe the videos of one shard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clipfold.manifest.contents import Content, write_contents
from clipfold.status import Status
from clipfold.storage.files import PathLike, read_table, write_table
from clipfold.video.container import Unusable, check_unchanged
from clipfold.video.probe import SCHEMA, probe_video
from clipfold.video.workers import map_videos, reported

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings


def probe_shard(paths: Mapping[str, str], output: PathLike, settings: ProbeSettings, workers: int) -> None:
    """Probe videos and write one row for each, usable or not.

    Args:
        paths: id -> file of each video.
        output: table of `clipfold.video.probe.SCHEMA`, in the order of `paths`.
        settings: limits that a usable video must keep.
        workers: processes to use.

    Raises:
        RuntimeError: a video was replaced while it was being read.
    """
    work = partial(_probe, settings)
    videos = list(paths.items())
    results = map_videos(work, videos, total=len(videos), workers=workers, timeout_s=settings.timeout_s, what="probe")
    write_table(output, reported("probed", (_row(video, result) for video, result in results)), SCHEMA)


def record_contents(metadata: PathLike, keys: Mapping[str, str], record: PathLike) -> None:
    """Record what was probed, to recognise files that are moved or touched later.

    Args:
        metadata: table that `probe_shard` wrote.
        keys: id -> key of its content, see `clipfold.manifest.contents`.
        record: file to write.
    """
    rows = read_table(metadata, ("id", "size_bytes", "mtime_ns", "digest")).to_pylist()
    contents = {
        row["id"]: Content(keys[row["id"]], f"{row['size_bytes']}-{row['mtime_ns']}", row["digest"])
        for row in rows
        if row["digest"]
    }
    write_contents(Path(record), contents)


def _row(video: tuple[str, str], result: dict[str, Any] | Unusable) -> dict[str, Any]:
    facts = _facts(result)
    check_unchanged(video[1], facts.get("size_bytes"), facts.get("mtime_ns"))
    return {"id": video[0]} | facts


def _facts(result: dict[str, Any] | Unusable) -> dict[str, Any]:
    return result.facts() if isinstance(result, Unusable) else _storable(result)


def _storable(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts, or `unreadable` if the table cannot hold them: a damaged header must not fail the shard."""
    try:
        pa.RecordBatch.from_pylist([facts], schema=SCHEMA)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        return {"status": Status.UNREADABLE, "reason": f"the header holds impossible values: {error}"}
    return facts


def _probe(settings: ProbeSettings, video: tuple[str, str]) -> dict[str, Any]:
    return probe_video(video[1], settings)
