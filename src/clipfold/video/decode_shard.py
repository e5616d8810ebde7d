"""Decode the videos of one shard, each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clipfold.image.decode import CONTAINERS, decode_images
from clipfold.image.source import stamp_of
from clipfold.status import DECODABLE, Status
from clipfold.storage.files import ArrayWriter, PathLike, read_table, write_table
from clipfold.video.container import Unusable
from clipfold.video.decode import Decoded, decode_video
from clipfold.video.digest import check_content, check_unchanged
from clipfold.video.parts import Part
from clipfold.video.stream import MAX_PIXELS, Stream
from clipfold.video.views import View, build_views
from clipfold.video.workers import map_videos, reported

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import DecodeSettings


Video = Mapping[str, Any]

_PROBED = (
    *("id", "status", "reason", "container", "width", "coded_width", "coded_height"),
    *("sample_aspect", "time_base", "fps", "pts", "keyframes", "size_bytes", "stamp", "digest"),
)


def decode_shard(
    paths: Mapping[str, str],
    metadata: PathLike,
    arrays: Mapping[str, PathLike],
    index: PathLike,
    settings: DecodeSettings,
    workers: int,
    max_pixels: int = MAX_PIXELS,
    memory_mb: int | None = None,
) -> None:
    """Decode each decodable video of a shard once and write every view.

    Truncated, damaged and very short videos are decoded too: the splits decide whether they are used.

    Args:
        paths: id -> file of each video, where it is now.
        metadata: input table, written by `probe_shard`.
        arrays: view name -> output array, `uint8` (decoded videos, *shape of the view).
        index: output table of `index_schema`, one row per row of `metadata`; `row` is the row in the arrays, null for a
            video without frames.
        settings: views and time limit.
        workers: processes to use.
        max_pixels: most pixels of a frame; the decoder refuses larger ones.
        memory_mb: memory of the job; None for no limit.

    Raises:
        NotTheVideo: a video is not the one that was probed or changed while it was being read, or the machine failed.
    """
    views = build_views(settings.views, settings.size)
    table = read_table(metadata, _PROBED)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ArrayWriter(arrays[name], view.shape, np.uint8)) for name, view in views.items()
        }
        results = map_videos(
            partial(_decode, views, max_pixels),
            (video | {"before": stamp_of(video["path"])} for video in _rows(table, paths) if _decodable(video)),
            total=sum(map(_decodable, _rows(table, paths))),
            workers=workers,
            timeout_s=settings.timeout_s,
            stage="decode",
            memory_mb=memory_mb,
        )
        # Rows are streamed: a job takes the same memory for ten videos and for ten thousand.
        found = (next(results) if _decodable(video) else (video, None) for video in _rows(table, paths))
        rows = (_facts(video, decoded, writers) for video, decoded in found)
        write_table(index, reported("decoded", rows), index_schema(views))


def _rows(table: pa.Table, paths: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for i in range(table.num_rows):
        (video,) = table.slice(i, 1).to_pylist()
        yield video | {"path": paths[video["id"]]}


def _decodable(video: Video) -> bool:
    return bool(video["status"] in DECODABLE and video["pts"] and video["width"])


def _facts(video: Video, decoded: Decoded | Unusable | None, writers: Mapping[str, ArrayWriter]) -> dict[str, Any]:
    """Append the video's views to the arrays and return its row of the index."""
    facts: dict[str, Any] = {}
    if decoded is not None:
        check_unchanged(video["path"], video["before"])
    if isinstance(decoded, Decoded):
        for name, writer in writers.items():
            facts["row"] = writer.append(decoded.arrays[name])
        facts |= decoded.facts
    elif decoded is not None:
        facts |= decoded.facts()
    if video["status"] != Status.OK:  # a failure found by probing explains whatever decoding finds
        facts |= {"status": video["status"], "reason": video["reason"]}
    return {"id": video["id"]} | facts


def index_schema(views: Mapping[str, View]) -> pa.Schema:
    """Return the columns of a shard's index.

    `decoded` counts the frames that went through the decoder. For each view V, `V_frames` holds the indices of the kept
    frames, `V_times` their presentation times in seconds, and `V_box` the content box (top, left, height, width).
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


def _decode(views: Mapping[str, View], max_pixels: int, video: Video) -> Decoded:
    check_content(video["path"], video)
    if video["container"] in CONTAINERS:
        ((_, decoded),) = decode_images(video, views, [Part(video["id"])], max_pixels)
        if isinstance(decoded, Unusable):
            raise decoded
        return decoded
    return decode_video(Stream.of(video, max_pixels), views)
