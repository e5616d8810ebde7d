"""Count the pairs of unrelated videos whose hashes are near by chance: each has to be verified on its pictures.

    python benchmarks/chance_pairs.py --manifest fights/videos.csv --json chance.json

Clips of different groups of a manifest, and drawn films as in `leakage_scale.py`. `whole`: near by their whole
backgrounds alone, which tiles decide many at once; `tiles`: those of them that tiles leave; `window`: near by a window;
`thumbnails`: those of them that thumbnails leave, each to be aligned. As shares of all pairs.

Then `copies`: of the copies of `--copies` clips and films in all ways of `leakage.py`, those that are near by a window
and that aligning finds, and how many of them thumbnails keep at each bound: the recall of `thumbnails.LEAST`.
"""

import argparse
import json
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from leakage import read

from clipfold.demo.disguises import DISGUISES
from clipfold.demo.encode import Take, decode, encode
from clipfold.demo.near_duplicates import CHANGES, Recording
from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage import thumbnails
from clipfold.leakage.alignment import LEAST_SHARE, THRESHOLD, Tiles, align
from clipfold.leakage.candidates import BACKGROUNDS_AT_ONCE, NEAR, Backgrounds
from clipfold.leakage.hashes import FRAMES, WINDOWS, hash_video
from clipfold.leakage.thumbnails import Thumbnails
from clipfold.manifest.read import read_manifest
from clipfold.storage.files import Array
from clipfold.video.geometry import letterbox
from clipfold.video.sampling import uniform

KINDS = {name: lambda film, rng, other, c=change: c(film, rng) for name, change in CHANGES.items()} | DISGUISES
"""Ways to copy a film: name -> function of the film, a source of chance and another film."""

BOUNDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="CSV with path, label, group")
    parser.add_argument("--films", type=int, default=300, help="number of drawn films (default: %(default)s)")
    parser.add_argument("--copies", type=int, default=20, help="clips and films to copy (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    videos = read_manifest(arguments.manifest)
    clips = shares([frames_of(video.path) for video in videos], [str(video.group) for video in videos])
    drawn = []
    for seed in range(arguments.films):
        rng = np.random.default_rng(seed)
        drawn.append(film(draw_scene(rng), rng, frames=FRAMES, size=(112, 112), fps=12))
    figures = {"clips": clips, "films": shares(drawn, [str(number) for number in range(len(drawn))])}
    sources = [videos[i * len(videos) // arguments.copies] for i in range(arguments.copies)]
    figures["copies"] = {
        "clips": recall([read(video) for video in sources]),
        "films": recall([drawn_film(10_000 + number) for number in range(arguments.copies)]),
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def frames_of(path: str) -> Array:
    """Decode evenly spaced frames of a video."""
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack([frames[i * len(frames) // FRAMES] for i in range(FRAMES)])


def shares(films: list[Array], groups: list[str]) -> dict[str, Any]:
    """Count the candidates of different groups, each pair once for each direction in which it is found."""
    hashes, pictures = (np.stack(each) for each in zip(*map(hash_video, films), strict=True))
    tiles, small = Tiles(list(pictures[:, 0])), Thumbnails(list(pictures[:, 0]))
    counts = dict.fromkeys(("whole", "tiles", "window", "thumbnails"), 0)
    near = Backgrounds(hashes[:, 0], hashes[:, : len(WINDOWS)])
    windows = near.windows(0)
    for start in range(0, len(films), BACKGROUNDS_AT_ONCE):
        for part in near.near(start, windows):
            for candidate, alike in zip(part, kept(small, part), strict=True):
                x, y = int(candidate["x"]), int(candidate["y"])
                if groups[x] != groups[y]:
                    doubtful = candidate["bits"] > NEAR
                    counts["whole" if doubtful else "window"] += 1
                    counts["thumbnails"] += bool(not doubtful and alike)
                    counts["tiles"] += bool(doubtful and tiles.may_pass(x, tiles, np.array([y]), LEAST_SHARE)[0])
    pairs = sum(groups[x] != groups[y] for x, y in combinations(range(len(films)), 2))
    return {"pairs": pairs} | {name: round(count / pairs, 5) for name, count in counts.items()}


def kept(small: Thumbnails, candidates: Array) -> Array:
    """Return False for the candidates that thumbnails drop."""
    x, y = (candidates[name].astype(np.int64) for name in ("x", "y"))
    return small.may_match(x, small, y, candidates["window"], candidates["mirrored"])


def drawn_film(seed: int) -> Recording:
    """Draw a film to copy."""
    rng = np.random.default_rng(seed)
    return Recording(film(draw_scene(rng), rng, frames=50, size=(128, 160), fps=25), 25.0)


def recall(films: list[Recording]) -> dict[str, Any]:
    """Count the pairs of a film and its copy that aligning finds by a window, and those that thumbnails keep."""
    found: Counter[str] = Counter()
    left: dict[float, Counter[str]] = defaultdict(Counter)
    for number, original in enumerate(films):
        other, rng = films[(number + 7) % len(films)], np.random.default_rng(number)
        made = [original, *(change(original, rng, other) for change in KINDS.values())]
        hashes, pictures = (np.stack(each) for each in zip(*map(hash_video, map(decoded, made)), strict=True))
        backgrounds = Backgrounds(hashes[:, 0], hashes[:, : len(WINDOWS)])
        near = np.concatenate(list(backgrounds.near(0, backgrounds.windows(0))))
        near = near[(near["bits"] <= NEAR) & ((near["x"] == 0) | (near["y"] == 0))]
        true = [
            align(pictures[x, 0], pictures[y, 0], WINDOWS[window], mirrored=mirrored).score >= THRESHOLD
            for x, y, window, mirrored in near[["x", "y", "window", "mirrored"]].tolist()
        ]
        near, small = near[np.array(true, bool)], Thumbnails(list(pictures[:, 0]))
        names = np.array([list(KINDS)[max(x, y) - 1] for x, y in near[["x", "y"]].tolist()], object)
        found.update(set(names))
        for bound in BOUNDS:
            thumbnails.LEAST = bound
            left[bound].update(set(names[kept(small, near)]))
    lost = {bound: dict(found - some) for bound, some in left.items()}
    return {"pairs": found.total(), "lost": lost, "kinds": found}


def decoded(film: Recording) -> Array:
    """Encode a film and decode what a clip keeps of it."""
    take = Take("h264", ".mp4", Fraction(film.fps).limit_denominator(1000), len(film.frames))
    frames = decode(encode(film.frames, take, bits_per_pixel=film.bits_per_pixel))
    box = letterbox(frames.shape[2], frames.shape[1], 112)
    size = box.width, box.height
    return np.stack(
        [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in frames[uniform(len(frames), FRAMES)]]
    )


if __name__ == "__main__":
    main()
