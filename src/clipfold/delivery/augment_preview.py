"""Draw on a page what each operation of augmentation does to a clip, by the code that makes copies for training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.clips.augment import draw
from clipfold.clips.filmstrip import content, spread_evenly
from clipfold.clips.operations import Drawn, apply
from clipfold.image.frames import is_image
from clipfold.report.render import render
from clipfold.report.videos import filmstrip
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import Array, PathLike, read_table
from clipfold.storage.replace import replacing
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

COPIES = 2
"""Augmented copies that are shown, as many as training makes by default."""

Operations = Mapping[str, Mapping[str, float]]


def write_preview(paths: Sequence[Path], operations: Operations, title: str, seed: int, output: PathLike) -> None:
    """Write a page that needs no other file: each clip as it is, after each operation alone, and augmented copies.

    An operation alone is drawn with the random numbers of the first copy, whatever its probability.

    Args:
        paths: Videos, folders or archives of frames, or images.
        operations: Name -> probability and limits, see `clipfold.clips.presets.resolve`.
        title: The preset, for the page.
        seed: Seed of the draws; a copy is that of a run with this seed where the video's id is its path.
        output: HTML file to write.

    Raises:
        ValueError: A file cannot be decoded.
    """
    clips = [
        {"id": str(path), "pictures": _pictures(*_decoded(str(path)), str(path), operations, seed)} for path in paths
    ]
    page = render(
        {"clips": clips, "preset": title, "seed": seed, "operations": operations},
        Path(__file__).parent / "augment_preview.html",
    )
    with replacing(output) as file:
        file.write(page.encode())


def _decoded(path: str) -> tuple[Array, list[int]]:
    """Decode the clip of a file as a run with the defaults does; returns it with its content box."""
    modality = "image" if is_image(path) else "video"
    clip: dict[str, Any] = {"kind": "uniform", "frames": 1 if modality == "image" else 16}
    with TemporaryDirectory(prefix="clipfold-") as name:
        metadata, index, array = (Path(name, each) for each in ("metadata.parquet", "index.parquet", "clips.npy"))
        probe_shard({path: path}, metadata, ProbeSettings(), workers=1, modality=modality)
        decode_shard({path: path}, metadata, {"clips": array}, index, DecodeSettings(views={"clips": clip}), workers=1)
        (row,) = read_table(index).to_pylist()
        require(row["row"] is not None, "video", path, f"use another: {row['reason'] or row['status']}")
        return np.load(array)[row["row"]], row["clips_box"]


def _pictures(clip: Array, box: list[int], name: str, operations: Operations, seed: int) -> list[dict[str, Any]]:
    """Draw the clip as it is, after each operation, and its augmented copies."""
    shown = spread_evenly(len(clip))

    def picture(title: str, drawn: Drawn) -> dict[str, Any]:
        frames = content(apply(clip, box, drawn)[shown], np.array(box))
        return {"title": title, "drawn": [_said(*each) for each in drawn], "filmstrip": filmstrip(frames)}

    alone = [(each, draw({each: {**most, "probability": 1}}, seed, name, 0)) for each, most in operations.items()]
    copies = [(f"augmented copy {copy}", draw(operations, seed, name, copy)) for copy in range(COPIES)]
    return [picture(title, drawn) for title, drawn in [("as decoded", []), *alone, *(copies if operations else [])]]


def _said(operation: str, arguments: Mapping[str, Any]) -> str:
    """Say what was drawn.

    >>> _said("crop", {"share": 0.91234, "x": 0.5}), _said("flip", {}), _said("noise", {"sigma": 0.02, "seed": 7})
    ('crop: share 0.912, x 0.5', 'flip', 'noise: sigma 0.02')
    """
    numbers = ", ".join(f"{name} {value:.3g}" for name, value in arguments.items() if name != "seed")
    return f"{operation}: {numbers}" if numbers else operation
