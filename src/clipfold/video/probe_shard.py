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
from clipfold.video.container import Unusable
from clipfold.video.digest import check_unchanged
from clipfold.video.probe import SCHEMA, probe_video
from clipfold.video.workers import map_videos, reported

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings


def probe_shard(
    paths: Mapping[str, str],
    output: PathLike,
    settings: ProbeSettings,
    workers: int,
    memory_mb: int | None = None,
    modality: str = "video",
    rates: Mapping[str, float] | None = None,
) -> None:
    """Probe videos and write one row for each, usable or not.

    Args:
        paths: id -> file of each video.
        output: table of `clipfold.video.probe.SCHEMA`, in the order of `paths`.
        settings: limits that a usable video must keep.
        workers: processes to use.
        memory_mb: memory of the job; None for no limit.
        modality: `video` or `image`.
        rates: id -> frames per second of folders and archives of frames that have another rate than `settings.fps`.

    Raises:
        NotTheVideo: a video changed while it was being read, or the machine failed.
    """
    results = map_videos(
        partial(_probe, settings, modality),
        [{"id": name, "path": path, "fps": (rates or {}).get(name)} for name, path in paths.items()],
        total=len(paths),
        workers=workers,
        timeout_s=settings.timeout_s,
        stage="probe",
        memory_mb=memory_mb,
    )
    write_table(output, reported("probed", (_row(video, result) for video, result in results)), SCHEMA)


def record_contents(metadata: PathLike, keys: Mapping[str, str], record: PathLike) -> None:
    """Record what was probed, to recognise files that are moved or touched later.

    Args:
        metadata: table that `probe_shard` wrote.
        keys: id -> key of its content, see `clipfold.manifest.contents`.
        record: file to write.
    """
    rows = read_table(metadata, ("id", "stamp", "digest")).to_pylist()
    contents = {row["id"]: Content(keys[row["id"]], row["stamp"], row["digest"]) for row in rows if row["digest"]}
    write_contents(Path(record), contents)


def _row(video: Mapping[str, Any], result: dict[str, Any] | Unusable) -> dict[str, Any]:
    facts = _facts(result)
    if "stamp" in facts:
        check_unchanged(video["path"], facts["stamp"])
    return {"id": video["id"]} | facts


def _facts(result: dict[str, Any] | Unusable) -> dict[str, Any]:
    return result.facts() if isinstance(result, Unusable) else _storable(result)


def _storable(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts, or `unreadable` if the table cannot hold them: a damaged header must not fail the shard."""
    try:
        pa.RecordBatch.from_pylist([facts], schema=SCHEMA)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        return {"status": Status.UNREADABLE, "reason": f"the header holds impossible values: {error}"}
    return facts


def _probe(settings: ProbeSettings, modality: str, video: Mapping[str, Any]) -> dict[str, Any]:
    return probe_video(video["path"], settings, modality, video["fps"])
