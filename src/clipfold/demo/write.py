"""Plan and write the demo videos.

Each place is recorded in two takes, and each take gives a real and a tampered video of the same codec, container, size,
frame rate, length and bit rate: container metadata is the same for both labels.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from clipfold.demo.encode import Take, decode, encode
from clipfold.demo.places import PLACES, Place
from clipfold.demo.scenes import Frames, Scene, add_noise, draw_scene, film
from clipfold.demo.tampering import drop_frames, hold_frame, splice

INSERT_NOISE = 36.0
"""Standard deviation of an insert's noise in grey levels: three times that of the noisiest scene."""

INSERT_GRAINS = 20
"""Grains of an insert's noise along the frame's shorter side: coarse enough to survive compression and resizing."""

DAMAGE = {"videos/01-harbour-1.mp4": "truncated", "videos/02-main street-2.mp4": "no video"}
"""The two files that cannot be opened, one of each label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A row of the table, with the recipe of its file."""

    path: str
    label: Literal["real", "tampered"]
    group: str
    place: Place
    take: Take


def plan_videos(sources: int) -> list[Video]:
    """Plan the videos of the first `sources` places: a real and a tampered one per take, four per place."""
    labels: tuple[Literal["real", "tampered"], ...] = ("real", "tampered")
    return [
        Video(
            path=f"videos/{number:02d}-{place.name}-{1 + 2 * index + labels.index(label)}{take.suffix}",
            label=label,
            group=f"source-{number:02d}",
            place=place,
            take=take,
        )
        for number, place in enumerate(PLACES[:sources], start=1)
        for index, take in enumerate(place.takes)
        for label in labels
    ]


def shoot(video: Video, scene: Scene, rng: np.random.Generator) -> Frames:
    """Film a video's scene and tamper with the film if its label says so.

    A tampered video contains a piece of another scene with coarser and stronger noise, in half of the cases badly
    compressed beforehand, and either a held frame or a gap.
    """
    take, size = video.take, video.place.size
    if video.label == "real":
        return film(scene, rng, frames=take.frames, size=size, fps=float(take.fps))
    gap = int(rng.choice([0, take.frames // 4]))
    host = film(scene, rng, frames=take.frames + gap, size=size, fps=float(take.fps))
    insert = film(draw_scene(rng), rng, frames=take.frames + gap, size=size, fps=float(take.fps))
    insert = add_noise(insert, rng, level=INSERT_NOISE, grain=min(size) / INSERT_GRAINS)
    if rng.random() < 0.5:
        insert = decode(encode(insert, Take("mpeg4", ".avi", take.fps, take.frames), bits_per_pixel=0.03))
    spliced = splice(host, insert, rng)
    return drop_frames(spliced, gap, rng) if gap else hold_frame(spliced, rng)


def make_video(video: Video, seed: int) -> bytes:
    """Make a video and return the bytes of its file."""
    scene = _scene(seed, video.group)
    rng = _generator(seed, video.path)
    # Noise would enlarge the tampered files. The fixed bit rate prevents that, and this spread hides what remains.
    bits_per_pixel = 0.3 * rng.uniform(0.7, 1.3)
    data = encode(shoot(video, scene, rng), video.take, bits_per_pixel=bits_per_pixel, turns=video.place.turns)
    match DAMAGE.get(video.path):
        case "truncated":  # an MP4 file ends with its index
            return data[: len(data) // 2]
        case "no video":
            return rng.bytes(len(data))
        case _:
            return data


def make_demo(folder: Path, *, seed: int = 0, sources: int = len(PLACES)) -> Path:
    """Write the videos into `folder/videos/` and then their table, `folder/videos.csv`.

    Args:
        folder: output folder, created if missing; files of an earlier run are overwritten.
        seed: seed for all random draws; the same seed gives the same bytes with the same PyAV, OpenCV and NumPy.
        sources: number of sources, 2 to 12, with four videos each.

    Returns:
        Path of the table, with the columns path (relative to the table), label (real or tampered) and group (source-01
        ...).

    Raises:
        ValueError: `sources` is out of range.
    """
    if not 2 <= sources <= len(PLACES):
        raise ValueError(f"sources is {sources}: use 2 to {len(PLACES)}")
    table = folder / "videos.csv"
    table.unlink(missing_ok=True)  # the table marks a complete set
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    videos = plan_videos(sources)
    for video in videos:
        (folder / video.path).write_bytes(make_video(video, seed))
    partial = table.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label", "group"])
        rows.writerows([video.path, video.label, video.group] for video in videos)
    return partial.replace(table)


def _generator(seed: int, name: str) -> np.random.Generator:
    """Make a generator seeded by name, so that no video depends on the others."""
    return np.random.default_rng(list(f"{seed}/{name}".encode()))


@lru_cache(maxsize=1)
def _scene(seed: int, group: str) -> Scene:
    """Draw the scene of a source, once for its four videos."""
    return draw_scene(_generator(seed, group))
