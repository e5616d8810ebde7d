"""Turn video files into what a bundle reads: by the same code as the run that trained its models."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.delivery.feature_groups import feature_groups
from clipfold.features.extract import extract_shard
from clipfold.storage.files import Array, read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.parts import NOTHING, Stated
from clipfold.video.probe_shard import probe_shard

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle


@dataclass(frozen=True, slots=True)
class Prepared:
    """Several videos, as a bundle reads them.

    Args:
        videos: Of each video: `id`, `path`, `status`, `reason`; status is `ok` for those that can be predicted.
        usable: Ids of the videos that can be predicted, in the order of `clips` and `features`.
        probed: id -> row of the probe's table.
        clips: uint8 (usable, frames, size, size, 3).
        boxes: Content box of each clip, int64 (usable, 4): top, left, height, width in pixels.
        frames: Numbers of the clip's frames in the video, for each usable video.
        features: Table of all features, a row per usable video; None if the bundle reads none.
    """

    videos: list[dict[str, Any]]
    usable: list[str]
    probed: dict[str, dict[str, Any]]
    clips: Array
    boxes: Array
    frames: list[list[int]]
    features: pd.DataFrame | None


def prepare(
    bundle: "OpenBundle",
    paths: Mapping[str, str],
    workers: int,
    memory_mb: int | None = None,
    stated: Stated = NOTHING,
) -> Prepared:
    """Probe and decode videos, each once, and compute the features that the bundle reads.

    Args:
        bundle: The bundle.
        paths: id -> file of each video.
        workers: Processes to use.
        memory_mb: Memory that the processes may use; None for no limit.
        stated: Segments and frames per second, of videos for which a table states them.

    Raises:
        ValueError: There are no videos.
        NotTheVideo: A video changed while it was read, or the machine failed.
    """
    require_some(paths)
    probe, decode, policy = bundle.probe, bundle.decode, bundle.policy
    with TemporaryDirectory(prefix="clipfold-") as name:
        folder = Path(name)
        metadata, index, table = (folder / f"{name}.parquet" for name in ("metadata", "index", "features"))
        arrays = {view: folder / f"{view}.npy" for view in decode.views}
        probe_shard(paths, metadata, probe, workers, memory_mb, stated.segments, bundle.modality, stated.rates)
        decode_shard(paths, metadata, arrays, index, decode, workers, probe.max_pixels, memory_mb)
        place = {name: number for number, name in enumerate(paths)}
        rows = sorted(read_table(index).to_pylist(), key=lambda row: place[row["id"]])
        used = [row for row in rows if row["row"] is not None and policy.action(row["status"]) == "use"]
        clips = np.load(arrays["clips"], mmap_mode="r")[[row["row"] for row in used]] if used else np.empty(0, np.uint8)
        features = None
        if "features" in bundle.reads:
            extract_shard(metadata, index, arrays, table, feature_groups(bundle))
            features = read_table(table).to_pandas().set_index("id").loc[[row["id"] for row in used]]
            features = bundle.with_embeddings(features, clips)
        kept = {row["id"] for row in used}
        return Prepared(
            videos=[
                {"id": row["id"], "path": paths[row["id"]]}
                | ({"status": "ok", "reason": ""} if row["id"] in kept else {n: row[n] for n in ("status", "reason")})
                for row in rows
            ],
            usable=[row["id"] for row in used],
            probed={row["id"]: row for row in read_table(metadata).to_pylist()},
            clips=clips,
            boxes=np.array([row["clips_box"] for row in used], np.int64).reshape(-1, 4),
            frames=[row["clips_frames"] for row in used],
            features=features,
        )


def require_some(paths: Mapping[str, str]) -> None:
    """Raise an error for users if they named no video."""
    require(bool(paths), "videos", len(paths), "name files, folders, a table, or - for a list on standard input")


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
