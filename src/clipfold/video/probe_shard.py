"""Probe the videos of one shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clipfold.manifest.contents import Content, write_contents
from clipfold.status import Status
from clipfold.storage.files import PathLike, read_table, write_table
from clipfold.video.container import Unusable
from clipfold.video.digest import check_unchanged
from clipfold.video.kept import probe_kept
from clipfold.video.part_facts import PartFacts
from clipfold.video.parts import Segment, by_source
from clipfold.video.probe import SCHEMA, probe_video
from clipfold.video.workers import map_videos, reported

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings
    from clipfold.storage.cache import Cache


def probe_shard(
    paths: Mapping[str, str],
    output: PathLike,
    settings: ProbeSettings,
    workers: int,
    memory_mb: int | None = None,
    segments: Mapping[str, Segment] | None = None,
    modality: str = "video",
    rates: Mapping[str, float] | None = None,
    cache: Cache | None = None,
) -> None:
    """Probe each file once and write one row for each of its segments, usable or not.

    Args:
        paths: id -> file of each video.
        output: table of `clipfold.video.probe.SCHEMA`, in the order of `paths`, but for the rows of one file, which
            follow its first.
        settings: limits that a usable video must keep.
        workers: processes to use.
        memory_mb: memory of the job; None for no limit.
        segments: id -> file, start and end in seconds, for rows whose file has segments.
        modality: `video` or `image`.
        rates: source (the file of segments, else the id) -> frames per second of a folder or an archive of frames that
            has another rate than `settings.fps`.
        cache: where facts are kept by content; None for nowhere.

    Raises:
        NotTheVideo: a video changed while it was being read, or the machine failed.
    """
    sources = [
        {
            "id": source,
            "path": path,
            "rows": parts,
            "fps": (rates or {}).get(source),
            "file": source if parts[0].id in (segments or {}) else "",
        }
        for source, path, parts in by_source(paths, segments or {})
    ]
    results = map_videos(
        partial(_probe, settings, modality, cache),
        sources,
        total=len(sources),
        workers=workers,
        timeout_s=settings.timeout_s,
        stage="probe",
        memory_mb=memory_mb,
    )
    rows = (row for source, result in results for row in _rows(source, result, settings))
    write_table(output, reported("probed", rows), SCHEMA)


def record_contents(metadata: PathLike, keys: Mapping[str, str], record: PathLike) -> None:
    """Record what was probed, to recognise files that are moved or touched later.

    Args:
        metadata: table that `probe_shard` wrote.
        keys: source -> key of its content, see `clipfold.manifest.contents`.
        record: file to write.
    """
    rows = read_table(metadata, ("id", "file", "stamp", "digest")).to_pylist()
    contents = {
        source: Content(keys[source], row["stamp"], row["digest"])
        for row in rows
        if row["digest"] and (source := row["file"] or row["id"])
    }
    write_contents(Path(record), contents)


def _rows(
    source: Mapping[str, Any], result: dict[str, Any] | Unusable, settings: ProbeSettings
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file's parts; the first holds its packets, which all need for decoding."""
    probed = _facts(result)
    if "stamp" in probed:
        check_unchanged(source["path"], probed["stamp"])
    facts, packets = PartFacts(probed, settings), {name: probed.get(name) for name in ("pts", "keyframes")}
    for part in source["rows"]:
        yield facts.of(part) | {"file": source["file"]} | packets
        packets = {}


def _facts(result: dict[str, Any] | Unusable) -> dict[str, Any]:
    return result.facts() if isinstance(result, Unusable) else _storable(result)


def _storable(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts, or `unreadable` if the table cannot hold them: a damaged header must not fail the shard."""
    try:
        pa.RecordBatch.from_pylist([facts], schema=SCHEMA)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        return {"status": Status.UNREADABLE, "reason": f"the header holds impossible values: {error}"}
    return facts


def _probe(settings: ProbeSettings, modality: str, cache: Cache | None, source: Mapping[str, Any]) -> dict[str, Any]:
    path, fps = source["path"], source["fps"]
    limits = asdict(settings) | {"modality": modality, "fps": fps or settings.fps}
    return probe_kept(cache, path, limits, lambda: probe_video(path, settings, modality, fps))
