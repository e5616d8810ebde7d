"""Probing the videos of one shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clipfold.storage.files import PathLike, write_table
from clipfold.video.container import Unusable, check_unchanged
from clipfold.video.probe import SCHEMA, probe_video
from clipfold.video.status import Status
from clipfold.video.workers import map_videos, reported

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
    from clipfold.settings import ProbeSettings


def probe_shard(videos: Sequence[Mapping[str, Any]], output: PathLike, settings: ProbeSettings, workers: int) -> None:
    """Probe videos and write a row for each, good or bad.

    Args:
        videos: rows of the manifest with `id`, `path`, `label` and `group` (None where there is none); `fetched` where
            the file is a copy from storage, whose time says nothing, as it may be fetched again to be decoded.
        output: table of `clipfold.video.probe.SCHEMA`, in the order of `videos`.
        settings: limits.
        workers: processes.

    Raises:
        RuntimeError: a video was replaced meanwhile.
    """
    work = partial(_probe, settings)
    results = map_videos(work, videos, total=len(videos), workers=workers, timeout_s=settings.timeout_s, what="probe")
    write_table(output, reported("probed", (_row(video, result) for video, result in results)), SCHEMA)


def _row(video: Mapping[str, str], result: dict[str, Any] | Unusable) -> dict[str, Any]:
    facts = _facts(result)
    check_unchanged(video["path"], facts.get("size_bytes"), facts.get("mtime_ns"))
    if video.get("fetched"):
        facts |= {"mtime_ns": None}
    return dict(video) | facts


def _facts(result: dict[str, Any] | Unusable) -> dict[str, Any]:
    return result.facts() if isinstance(result, Unusable) else _storable(result)


def _storable(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts, unless the table cannot hold one of them: a damaged header must not take the shard down."""
    try:
        pa.RecordBatch.from_pylist([facts], schema=SCHEMA)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        return {"status": Status.UNREADABLE, "reason": f"it claims what cannot be: {error}"}
    return facts


def _probe(settings: ProbeSettings, video: Mapping[str, str]) -> dict[str, Any]:
    return probe_video(video["path"], settings)
