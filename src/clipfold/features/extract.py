"""The table of handcrafted features: a row per usable video, a group of columns per module."""

import logging
from collections.abc import Mapping

import pyarrow as pa

from clipfold.features import brightness, container, frame, motion, noise
from clipfold.storage.files import PathLike, open_array, read_table, write_table

GROUPS = (brightness, container, frame, motion, noise)

logger = logging.getLogger(__name__)


def extract_shard(metadata: PathLike, index: PathLike, arrays: Mapping[str, PathLike], output: PathLike) -> None:
    """Compute the features of a shard's usable videos.

    Args:
        metadata: table that probing wrote.
        index: the decoded shard's index.
        arrays: `clips`, `motion` and `native`, the decoded views.
        output: table with `id` and `GROUP.NAME` columns, float64; NaN where a value does not exist for a video.
    """
    usable = [row for row in read_table(index).to_pylist() if row["row"] is not None]
    probed = {row["id"]: row for row in read_table(metadata, ["id", *container.COLUMNS]).to_pylist()}
    clips, steps, crops = (open_array(arrays[name]) for name in ("clips", "motion", "native"))
    rows = []
    for number, video in enumerate(usable, 1):
        row, box = video["row"], video["motion_box"]
        track = steps[row, : len(video["motion_frames"]), box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
        _, _, height, width = video["native_box"]
        place = video["clips_box"]
        shown = clips[row, :, place[0] : place[0] + place[2], place[1] : place[1] + place[3]]
        groups = {
            "container": container.features(probed[video["id"]]),
            "frame": frame.features(shown),
            "brightness": brightness.features(track),
            "motion": motion.features(track),
            "noise": noise.features(crops[row, :, :, :height, :width]),
        }
        rows.append(
            {"id": video["id"]}
            | {f"{g}.{name}": value for g, values in groups.items() for name, value in values.items()}
        )
        if number % 100 == 0:
            logger.info("features: %d of %d videos", number, len(usable))
    names = [f"{g.__name__.split('.')[-1]}.{name}" for g in GROUPS for name in g.NAMES]
    schema = pa.schema([("id", pa.string()), *((name, pa.float64()) for name in names)])
    write_table(output, rows, schema)
    logger.info("%d features of %d videos", len(names), len(rows))
