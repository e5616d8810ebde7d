"""Decode the files of one shard, each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clipfold.image.decode import CONTAINERS, decode_images
from clipfold.image.source import stamp_of
from clipfold.status import DECODABLE, Status
from clipfold.storage.files import ArrayWriter, PathLike, read_table, write_table
from clipfold.video.container import Unusable
from clipfold.video.decode import Decoded
from clipfold.video.decode_parts import decode_parts
from clipfold.video.digest import check_content, check_unchanged
from clipfold.video.kept import decode_kept, origin_of
from clipfold.video.parts import Part
from clipfold.video.spool import Spooled, spool, spool_folder
from clipfold.video.stream import MAX_PIXELS, Stream
from clipfold.video.views import View, build_views
from clipfold.video.workers import map_videos, punctual, reported

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import DecodeSettings
    from clipfold.storage.cache import Cache


Video = Mapping[str, Any]

_PROBED = (
    *("id", "file", "start", "end", "status", "reason", "container", "width", "coded_width", "coded_height"),
    *("sample_aspect", "time_base", "fps", "pts", "keyframes", "file_bytes", "stamp", "digest"),
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
    cache: Cache | None = None,
) -> None:
    """Decode each decodable file of a shard once and write every view of it, or of each of its segments.

    Truncated, damaged and very short videos are decoded too: the splits decide whether they are used.

    Args:
        paths: id -> file of each video, where it is now.
        metadata: input table, written by `probe_shard`.
        arrays: view name -> output array, `uint8` (decoded videos, *shape of the view).
        index: output table of `index_schema`, one row per row of `metadata`; `row` is the row in the arrays, null for a
            video without frames.
        settings: views, time limit and whether to filter blocks.
        workers: processes to use.
        max_pixels: most pixels of a frame; the decoder refuses larger ones.
        memory_mb: memory of the job; None for no limit.
        cache: where views are kept by content; None for nowhere.

    Raises:
        NotTheVideo: a video is not the one that was probed or changed while it was being read, or the machine failed.
        ValueError: the finder of a region cannot be used here.
    """
    views = build_views(settings.views, settings.size, settings.face_model)
    for view in views.values():
        if view.region:  # before any video could take the blame
            view.region.check()
    table = read_table(metadata, _PROBED)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ArrayWriter(arrays[name], view.shape, np.uint8)) for name, view in views.items()
        }
        spooled = stack.enter_context(spool_folder(Path(index)))
        results = map_videos(
            partial(_decode, views, max_pixels, settings.timeout_s, settings.loop_filter, cache),
            (
                source | {"before": stamp_of(source["path"]), "spool": spooled / str(number)}
                for number, source in enumerate(_sources(table, paths))
                if source["parts"]
            ),
            total=sum(bool(source["parts"]) for source in _sources(table, paths)),
            workers=workers,
            timeout_s=settings.timeout_s,
            stage="decode",
            memory_mb=memory_mb,
        )
        # Rows are streamed: a job takes the same memory for ten videos and for ten thousand.
        found = (next(results) if source["parts"] else (source, None) for source in _sources(table, paths))
        rows = (row for source, result in found for row in _rows(source, result, views, writers))
        write_table(index, reported("decoded", rows), index_schema(views))


def _sources(table: pa.Table, paths: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield each file with its rows of the probe's table, and those of them that can be decoded, as parts."""
    videos = (table.slice(i, 1).to_pylist()[0] for i in range(table.num_rows))
    for _, group in groupby(videos, key=lambda video: (video["file"], video["file"] or video["id"])):
        rows = list(group)
        first = rows[0] | {"id": rows[0]["file"] or rows[0]["id"], "path": paths[rows[0]["id"]]}
        first["size_bytes"] = first["file_bytes"]
        whole = first["pts"] and first["width"]
        decodable = [row for row in rows if whole and row["status"] in DECODABLE]
        parts = [Part(row["id"], row["start"], row["end"]) for row in decodable]
        rows = [{name: row[name] for name in ("id", "status", "reason")} for row in rows]
        yield first | {"rows": rows, "parts": parts}


def _rows(
    source: Video,
    result: Decoded | Unusable | Spooled | None,
    views: Mapping[str, View],
    writers: Mapping[str, ArrayWriter],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the index about a file."""
    if result is not None:
        check_unchanged(source["path"], source["before"])
    decodable = {part.id for part in source["parts"]}
    for row in source["rows"]:
        if row["id"] not in decodable:
            yield _facts(row, None, writers)
        else:
            yield _facts(row, result.of(row["id"], views) if isinstance(result, Spooled) else result, writers)
    if isinstance(result, Spooled):
        result.remove(views)


def _facts(video: Video, decoded: Decoded | Unusable | None, writers: Mapping[str, ArrayWriter]) -> dict[str, Any]:
    """Append the video's views to the arrays and return its row of the index."""
    facts: dict[str, Any] = {}
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
    frames, `V_times` their presentation times in seconds, and `V_box` the content box (top, left, height, width). If it
    has a region, `V_region` holds that in shares of the picture (top, left, height, width); null is the whole picture,
    where none was found. For a region of faces, `V_track` lists where the face is in the frames that were looked at,
    from the first to the last that shows it: index of the frame, then top, left, height and width, as in `V_region`.
    """
    columns = {
        "id": pa.string(),
        "row": pa.int32(),
        "status": pa.string(),
        "reason": pa.string(),
        "decoded": pa.int32(),
        "warning": pa.string(),
    }
    for name, view in views.items():
        columns[f"{name}_frames"] = pa.list_(pa.int32())
        columns[f"{name}_times"] = pa.list_(pa.float64())
        columns[f"{name}_box"] = pa.list_(pa.int16(), 4)
        if view.region:
            columns[f"{name}_region"] = pa.list_(pa.float64(), 4)
        if view.region and view.region.tracks:
            columns[f"{name}_track"] = pa.list_(pa.list_(pa.float64(), 5))
    return pa.schema(columns)


def _decode(
    views: Mapping[str, View],
    max_pixels: int,
    timeout_s: float,
    loop_filter: bool,
    cache: Cache | None,
    source: Video,
) -> Decoded | Unusable | Spooled:
    check_content(source["path"], source)

    def decode(parts: Sequence[Part]) -> Iterator[tuple[Part, Decoded | Unusable]]:
        if source["container"] in CONTAINERS:
            return decode_images(source, views, parts, max_pixels)
        return decode_parts(Stream.of(source, max_pixels, loop_filter), views, parts)

    results = decode_kept(cache, origin_of(source, max_pixels, loop_filter), views, source["parts"], decode)
    if len(source["parts"]) > 1:
        return spool(punctual(results, timeout_s), views, source["spool"])
    ((_, result),) = results
    return result
