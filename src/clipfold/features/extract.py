"""Compute the table of handcrafted features: a row per usable video, a group of columns per module."""

import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clipfold.features.registry import GROUPS, VIEWS
from clipfold.storage.files import Array, PathLike, open_array, read_table, write_table

logger = logging.getLogger(__name__)


def extract_shard(
    metadata: PathLike,
    index: PathLike,
    arrays: Mapping[str, PathLike],
    output: PathLike,
    groups: Sequence[str] = tuple(GROUPS),
) -> None:
    """Compute the features of a shard's usable videos.

    Args:
        metadata: Table that probing wrote.
        index: The decoded shard's index.
        arrays: The decoded views by name, at least those that the groups read.
        output: Table with `id` and `GROUP.COLUMN` columns, float64; NaN where a value does not exist for a video.
        groups: Names of feature groups.
    """
    usable = [row for row in read_table(index).to_pylist() if row["row"] is not None]
    probed = {row["id"]: row for row in read_table(metadata).to_pylist()}
    read = sorted({GROUPS[group].view for group in groups} - {"metadata"})
    views: dict[str, Array] = {name: open_array(arrays[name]) for name in read}
    rows = []
    for number, video in enumerate(usable, 1):
        shown = shown_views({name: array[video["row"]] for name, array in views.items()}, video)
        rows.append({"id": video["id"]} | video_features(probed[video["id"]], shown, groups))
        if number % 100 == 0:
            logger.info("features: %d of %d videos", number, len(usable))
    names = [f"{group}.{column}" for group in groups for column in _module(group).COLUMNS]
    schema = pa.schema([("id", pa.string()), *((name, pa.float64()) for name in names)])
    write_table(output, rows, schema)
    logger.info("%d features of %d videos", len(names), len(rows))


def video_features(
    probed: Mapping[str, Any], views: Mapping[str, Array], groups: Sequence[str] = tuple(GROUPS)
) -> dict[str, float]:
    """Compute the features of one video.

    Args:
        probed: Its row of the probe's table.
        views: The views that the groups read, by name, without padding (see `shown_views`): `clips`, `uint8` of
            (frames, height, width, 3); `motion`, `uint8` of (steps, height, width); `native`, `uint8` of (frames,
            places, height, width); and `V_times` of each view V that a timed group reads, float64, in seconds.
        groups: Names of feature groups.

    Returns:
        `GROUP.COLUMN` -> value; NaN where a value does not exist.

    Raises:
        ValueError: A group returns other columns than it declares.
    """
    values: dict[str, float] = {}
    for group in groups:
        module, view = _module(group), GROUPS[group].view
        given = [probed if view == "metadata" else views[view]]
        found = module.features(*given, *([views[f"{view}_times"]] if GROUPS[group].timed else []))
        if found.keys() != set(module.COLUMNS):
            wrong = sorted(found.keys() ^ set(module.COLUMNS))
            raise ValueError(f"features: {group}: columns differ from COLUMNS in {', '.join(wrong)}: declare each once")
        values |= {f"{group}.{name}": value for name, value in found.items()}
    return values


def shown_views(arrays: Mapping[str, Array], row: Mapping[str, Any]) -> dict[str, Array]:
    """Return what `video_features` reads of one video.

    Args:
        arrays: The video's entries of stored views by name; those that no group reads are left out.
        row: The video's row of the index.
    """
    shown = {name: crop_view(name, array, row) for name, array in arrays.items() if name in VIEWS}
    timed = {group.view for group in GROUPS.values() if group.timed} & shown.keys()
    return shown | {f"{name}_times": np.asarray(row[f"{name}_times"], np.float64) for name in timed}


def crop_view(name: str, stored: Array, row: Mapping[str, Any]) -> Array:
    """Remove the padding from one video's view.

    Args:
        name: The view.
        stored: The video's entry of the stored array.
        row: The video's row of the index.

    Returns:
        The content, as `video_features` takes it.
    """
    top, left, height, width = row[f"{name}_box"]
    if name == "native":  # places lie anywhere in the picture, but all start at the corner of their array
        return stored[:, :, :height, :width]
    frames = len(row["motion_frames"]) if name == "motion" else len(stored)  # a short video has fewer steps
    return stored[:frames, top : top + height, left : left + width]


def _module(group: str) -> Any:
    return importlib.import_module(GROUPS[group].module)
