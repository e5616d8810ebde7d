"""Decoding the videos of one shard, once each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clipfold.storage.files import ArrayWriter, PathLike, read_table, write_table
from clipfold.video.container import Unusable, check_unchanged
from clipfold.video.decode import Decoded, Stream, decode_video
from clipfold.video.status import DECODABLE, Status
from clipfold.video.views import View, build_views
from clipfold.video.workers import map_videos, reported

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
    from clipfold.settings import DecodeSettings


Video = Mapping[str, Any]

_PROBED = (
    *("id", "path", "status", "reason", "width", "coded_width", "coded_height"),
    *("sample_aspect", "time_base", "fps", "pts", "keyframes", "size_bytes", "mtime_ns"),
)


def decode_shard(
    metadata: PathLike, arrays: Mapping[str, PathLike], index: PathLike, settings: DecodeSettings, workers: int
) -> None:
    """Decode the videos of a shard that frames can be had of, once each, and write every view.

    Truncated, damaged and very short ones are among them: whether they are used is decided by the splits.

    Args:
        metadata: table that `probe_shard` wrote.
        arrays: name of the view -> its array, `uint8` of (decoded videos, *shape of the view).
        index: table of `index_schema`, a row per row of `metadata`; `row` is the row in the arrays, null for a video
            without frames.
        settings: the views.
        workers: processes.

    Raises:
        RuntimeError: a video was replaced since it was probed.
    """
    views = build_views(settings.views, settings.size)
    table = read_table(metadata, _PROBED)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ArrayWriter(arrays[name], view.shape, np.uint8)) for name, view in views.items()
        }
        results = map_videos(
            partial(_decode, views),
            filter(_decodable, _rows(table)),
            total=sum(map(_decodable, _rows(table))),
            workers=workers,
            timeout_s=settings.timeout_s,
            what="decode",
        )
        # Nothing is collected on the way: a job takes the same memory for ten videos and for ten thousand.
        rows = (_facts(video, next(results)[1] if _decodable(video) else None, writers) for video in _rows(table))
        write_table(index, reported("decoded", rows), index_schema(views))


def _rows(table: pa.Table) -> Iterator[Video]:
    for i in range(table.num_rows):
        yield from table.slice(i, 1).to_pylist()


def _decodable(video: Video) -> bool:
    return bool(video["status"] in DECODABLE and video["pts"] and video["width"])


def _facts(video: Video, decoded: Decoded | Unusable | None, writers: Mapping[str, ArrayWriter]) -> dict[str, Any]:
    """The video's row of the index; what was kept of it goes to the arrays."""
    facts: dict[str, Any] = {}
    if decoded is not None:
        check_unchanged(video["path"], video["size_bytes"], video["mtime_ns"])
    if isinstance(decoded, Decoded):
        for name, writer in writers.items():
            facts["row"] = writer.append(decoded.arrays[name])
        facts |= decoded.facts
    elif decoded is not None:
        facts |= decoded.facts()
    if video["status"] != Status.OK:  # what probing found is the cause of whatever decoding finds
        facts |= {"status": video["status"], "reason": video["reason"]}
    return {"id": video["id"]} | facts


def index_schema(views: Mapping[str, View]) -> pa.Schema:
    """Columns of a shard's index.

    `decoded` counts the frames that went through the decoder. Per view V: `V_frames` are the indices of the frames
    kept, `V_times` when they are shown (seconds), `V_box` where the picture lies in them (top, left, height, width).
    """
    columns = {
        "id": pa.string(),
        "row": pa.int32(),
        "status": pa.string(),
        "reason": pa.string(),
        "decoded": pa.int32(),
        "warning": pa.string(),
    }
    for name in views:
        columns[f"{name}_frames"] = pa.list_(pa.int32())
        columns[f"{name}_times"] = pa.list_(pa.float64())
        columns[f"{name}_box"] = pa.list_(pa.int16(), 4)
    return pa.schema(columns)


def _decode(views: Mapping[str, View], video: Mapping[str, Any]) -> Decoded:
    return decode_video(Stream.of(video), views)
