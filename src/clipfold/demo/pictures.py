"""Plan and write the demo images: photographs of the demo's places, half of them spliced.

Both labels have the same formats and sizes, so that neither tells them apart.
"""

import csv
from pathlib import Path

import numpy as np

from clipfold.demo.encode import encode_image
from clipfold.demo.places import PLACES
from clipfold.demo.scenes import Scene, add_noise, draw_scene, film
from clipfold.demo.tampering import splice
from clipfold.demo.write import INSERT_GRAINS, INSERT_NOISE

SUFFIXES = (".jpg", ".png", ".webp", ".jpg")
"""Formats of the images of a place, for each label."""

DAMAGE = {"pictures/01-harbour-real-1.jpg": "truncated", "pictures/02-main street-tampered-2.png": "no image"}
"""The two files that cannot be used, one of each label."""


def make_pictures(folder: Path, *, seed: int = 0, sources: int = len(PLACES)) -> Path:
    """Write the images into `folder/pictures/` and then their table, `folder/pictures.csv`.

    Args:
        folder: output folder, created if missing; files of an earlier run are overwritten.
        seed: seed for all random draws.
        sources: number of places, 2 to 12, with eight images each.

    Returns:
        Path of the table, with the columns path (relative to the table), label (real or tampered) and group.

    Raises:
        ValueError: `sources` is out of range.
    """
    if not 2 <= sources <= len(PLACES):
        raise ValueError(f"sources is {sources}: use 2 to {len(PLACES)}")
    table = folder / "pictures.csv"
    table.unlink(missing_ok=True)  # the table marks a complete set
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, place in enumerate(PLACES[:sources], start=1):
        scene = draw_scene(np.random.default_rng([seed, number]))
        for take, suffix in enumerate(SUFFIXES, start=1):
            for label in ("real", "tampered"):
                path = f"pictures/{number:02d}-{place.name}-{label}-{take}{suffix}"
                rng = np.random.default_rng([seed, number, take, int(label == "real")])
                data = _photograph(scene, rng, place.size, label == "tampered", suffix)
                (folder / path).write_bytes(_damaged(data, DAMAGE.get(path), rng))
                rows.append((path, label, f"source-{number:02d}"))
    partial = table.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "group"])
        writer.writerows(rows)
    return partial.replace(table)


def _photograph(scene: Scene, rng: np.random.Generator, size: tuple[int, int], tampered: bool, suffix: str) -> bytes:
    shot = film(scene, rng, frames=1, size=size, fps=1.0)
    if tampered:
        insert = film(draw_scene(rng), rng, frames=1, size=size, fps=1.0)
        shot = splice(shot, add_noise(insert, rng, level=INSERT_NOISE, grain=min(size) / INSERT_GRAINS), rng)
    return encode_image(shot[0], suffix)


def _damaged(data: bytes, how: str | None, rng: np.random.Generator) -> bytes:
    return {"truncated": data[: len(data) // 2], "no image": rng.bytes(len(data))}.get(how or "", data)
