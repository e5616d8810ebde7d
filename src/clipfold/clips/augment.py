"""Augmented copies of clips: drawn once from a seed, stored, and shared by all folds and models."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa

from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array, read_table, write_table

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
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
    """Draw the parameters of one copy; the same on any machine, in any order, in any fold.

    Returns:
        `flip`; `crop_scale`, the share of the content's width and height that is kept, and `crop_x`, `crop_y`, where it
        lies (0 left or top, 1 right or bottom); `brightness` (added, share of full scale), `contrast` and `saturation`
        (factors).
    """
    digest = hashlib.blake2b(f"{seed}/{video_id}/{copy}".encode(), digest_size=16).digest()
    random = np.random.default_rng(int.from_bytes(digest, "big"))
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
    """Change a clip as drawn, alike in all its frames; the padding around its content stays black.

    Args:
        clip: `uint8` of (frames, size, size, 3), RGB.
        box: top, left, height and width of the content.
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
        clips: array of (videos, frames, size, size, 3).
        index: its index, with `row` and `clips_box`.
        output: array of (videos times copies, frames, size, size, 3); copy k of the video in row r is row
            r * copies + k.
        output_index: table of `SCHEMA`, with what was drawn.
        settings: what to draw.
        seed: of the draws.
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
    logger.info("%d copies of %d videos", len(rows), len(usable))
