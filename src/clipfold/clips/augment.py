"""Make augmented copies of clips: drawn once from a seed, stored, shared by all folds and models."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa

from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array, read_table, write_table
from clipfold.storage.hashing import stable_hash

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import AugmentSettings

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "copy": pa.int16(),
        "row": pa.int32(),
        "flip": pa.bool_(),
        "crop_scale": pa.float32(),
        "crop_x": pa.float32(),
        "crop_y": pa.float32(),
        "brightness": pa.float32(),
        "contrast": pa.float32(),
        "saturation": pa.float32(),
    }
)


def draw(settings: AugmentSettings, seed: int, video_id: str, copy: int) -> dict[str, Any]:
    """Draw the parameters of one augmented copy: the same on any machine, in any order, in any fold.

    Args:
        settings: ranges of the changes.
        seed: seed for the random draws.
        video_id: id of the video.
        copy: number of the augmented copy, from 0.

    Returns:
        `flip`; `crop_scale`, the share of the content's width and height to keep; `crop_x` and `crop_y`, the position
        of the crop (0 left or top, 1 right or bottom); `brightness`, an offset as a share of full scale; `contrast`
        and `saturation`, factors.
    """
    random = np.random.default_rng(stable_hash(f"{seed}/{video_id}/{copy}", digest_size=16))
    return {
        "flip": bool(random.random() < settings.flip),
        "crop_scale": random.uniform(settings.crop, 1),
        "crop_x": random.random(),
        "crop_y": random.random(),
        "brightness": random.uniform(-settings.brightness, settings.brightness),
        "contrast": 1 + random.uniform(-settings.contrast, settings.contrast),
        "saturation": 1 + random.uniform(-settings.saturation, settings.saturation),
    }


def apply(clip: Array, box: tuple[int, int, int, int], drawn: Mapping[str, Any]) -> Array:
    """Apply the drawn changes alike to all frames of a clip; the padding around the content stays black.

    Args:
        clip: `uint8` (frames, size, size, 3), RGB.
        box: top, left, height and width of the content in pixels.
        drawn: parameters from `draw`.

    Returns:
        A new array of the same shape.
    """
    top, left, height, width = box
    content = clip[:, top : top + height, left : left + width]
    keep_height, keep_width = (max(1, round(edge * drawn["crop_scale"])) for edge in (height, width))
    y, x = round((height - keep_height) * drawn["crop_y"]), round((width - keep_width) * drawn["crop_x"])
    kept = content[:, y : y + keep_height, x : x + keep_width]
    if drawn["flip"]:
        kept = kept[:, :, ::-1]
    changed = np.zeros_like(clip)
    for frame, target in zip(kept, changed, strict=True):
        target[top : top + height, left : left + width] = cv2.resize(frame, (width, height))
    inside = changed[:, top : top + height, left : left + width]
    inside[...] = _recolour(inside, drawn["brightness"], drawn["contrast"], drawn["saturation"])
    return changed


def _recolour(pixels: Array, brightness: float, contrast: float, saturation: float) -> Array:
    colour = pixels.astype(np.float32)
    grey = colour @ np.array([0.299, 0.587, 0.114], np.float32)
    colour = grey[..., None] + saturation * (colour - grey[..., None])
    mean = float(grey.mean())
    changed = mean + contrast * (colour - mean) + 255 * brightness
    return np.asarray(changed.clip(0, 255), dtype=np.uint8)


def augment_shard(
    clips: PathLike, index: PathLike, output: PathLike, output_index: PathLike, settings: AugmentSettings, seed: int
) -> None:
    """Write the augmented copies of a shard's usable videos.

    Args:
        clips: stored clips, `uint8` (videos, frames, size, size, 3).
        index: index of the clips, with `id`, `row` and `clips_box`.
        output: output array, `uint8` (videos * copies, frames, size, size, 3); augmented copy k of the video in row r
            is in row r * copies + k.
        output_index: output table of `SCHEMA`, with the drawn parameters.
        settings: number of augmented copies and ranges of the changes.
        seed: seed for the random draws.
    """
    originals = open_array(clips)
    usable = [row for row in read_table(index, ["id", "row", "clips_box"]).to_pylist() if row["row"] is not None]
    rows = []
    with ArrayWriter(output, originals.shape[1:], np.uint8) as writer:
        for video in sorted(usable, key=lambda video: video["row"]):
            for copy in range(settings.copies):
                drawn = draw(settings, seed, video["id"], copy)
                row = writer.append(apply(originals[video["row"]], tuple(video["clips_box"]), drawn))
                rows.append({"id": video["id"], "copy": copy, "row": row} | drawn)
    write_table(output_index, rows, SCHEMA)
    logger.info("%d augmented copies of %d videos", len(rows), len(usable))
