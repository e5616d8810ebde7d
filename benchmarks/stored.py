"""Store clips and folds as the workflow does, and fit on them: shared by the training benchmarks."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clipfold.models.entries import plan_models
from clipfold.models.model import Model
from clipfold.storage.files import Array, ArrayWriter, write_table
from clipfold.storage.job import keep_freed_memory
from clipfold.training.on_clips import fit
from clipfold.training.task import Task

LABELS = ("still", "moving")


def model(**entry: Any) -> Model:
    """Return a complete entry of `models:`."""
    (complete,) = plan_models([entry], largest_size=1024, most_frames=1024)
    return complete


def draw_clip(rng: np.random.Generator, label: int, frames: int, size: int) -> Array:
    """Return a noisy clip, uint8 (frames, size, size, 3), in which a bright square stands still (0) or moves (1)."""
    clip = rng.integers(0, 128, (frames, size, size, 3), np.uint8)
    edge, path = size // 4, size - size // 4
    start = int(rng.integers(path))
    for i in range(frames):
        left = (start + label * i * path // frames) % path
        clip[i, edge : 2 * edge, left : left + edge] = 255
    return clip


def store_clips(folder: Path, videos: int, frames: int, size: int, copies: int = 0) -> dict[str, list[str]]:
    """Write clips of alternating labels and noisier augmented copies of them; return the files of one shard.

    Args:
        folder: Output folder.
        videos: Number of videos; their ids are their numbers.
        frames: Frames per clip.
        size: Edge in pixels.
        copies: Augmented copies per clip.
    """
    rng = np.random.default_rng(0)
    clips, augmented = folder / "frames.npy", folder / "augmented.npy"
    shape = (frames, size, size, 3)
    with ArrayWriter(clips, shape, np.uint8) as originals, ArrayWriter(augmented, shape, np.uint8) as others:
        for number in range(videos):
            clip = draw_clip(rng, number % 2, frames, size)
            originals.append(clip)
            for _ in range(copies):
                others.append(clip ^ rng.integers(0, 8, clip.shape, np.uint8))
    names = [f"{number:05}" for number in range(videos)]
    return index_clips(folder, names, copies, size) | {"clips": [str(clips)], "augmented": [str(augmented)]}


def index_clips(folder: Path, ids: Sequence[str], copies: int, size: int) -> dict[str, list[str]]:
    """Write the tables of a shard whose clips fill their squares."""
    index, others = folder / "index.parquet", folder / "copies.parquet"
    rows = [{"id": name, "row": row, "clips_box": [0, 0, size, size]} for row, name in enumerate(ids)]
    write_table(index, pa.Table.from_pylist(rows))
    more = [{"id": name, "row": row * copies + copy} for row, name in enumerate(ids) for copy in range(copies)]
    schema = pa.schema({"id": pa.string(), "row": pa.int64()})
    write_table(others, pa.Table.from_pylist(more, schema=schema))
    return {"index": [str(index)], "augmented_index": [str(others)]}


def write_fold(path: Path, labels: dict[str, str], ids_of: dict[str, Sequence[str]]) -> str:
    """Write the table of one fold; return its path.

    Args:
        path: Output file.
        labels: Id -> label.
        ids_of: Split -> ids in it; an id may be in several.
    """
    rows = [
        {"fold": 0, "id": name, "label": labels[name], "group": name, "split": split}
        for split, ids in ids_of.items()
        for name in ids
    ]
    write_table(path, pa.Table.from_pylist(rows))
    return str(path)


def output_files(folder: Path) -> dict[str, str]:
    """Return the output paths of a fit."""
    names = {"model": "safetensors", "history": "csv", "predictions": "parquet", "record": "json"}
    return {name: str(folder / f"{name}.{suffix}") for name, suffix in names.items()}


def run_fit(entry: Model, data: dict[str, list[str]], splits: str, folder: Path, **changes: Any) -> None:
    """Fit a model as the rule's job does, on one thread, without resuming."""
    keep_freed_memory()
    task = Task(
        module=entry.module,
        settings=entry.settings | {"checkpoint_epochs": 0, "checkpoint_minutes": 0.0} | changes,
        data=data,
        splits=splits,
        fold=0,
        outputs=output_files(folder),
        seed=0,
        threads=1,
        scratch=folder / "scratch",
        stored_size=entry.settings["size"],
    )
    fit(task)


def build(entry: Model, classes: int = 2) -> Any:
    """Return a model's network."""
    return importlib.import_module(entry.module).build(entry.settings, classes)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began
