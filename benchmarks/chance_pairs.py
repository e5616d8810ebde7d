"""Count the pairs of unrelated videos whose hashes are near by chance: each has to be verified on its pictures.

    python benchmarks/chance_pairs.py --manifest fights/videos.csv --json chance.json

Clips of different groups of a manifest, and drawn films as in `leakage_scale.py`. `whole`: near by their whole
backgrounds alone, which tiles decide many at once; `tiles`: those of them that tiles leave; `window`: near by a window,
each aligned. As shares of all pairs.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import numpy as np

from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage.alignment import LEAST_SHARE, Tiles
from clipfold.leakage.candidates import BACKGROUNDS_AT_ONCE, NEAR, Backgrounds
from clipfold.leakage.hashes import FRAMES, WINDOWS, hash_video
from clipfold.manifest.read import read_manifest
from clipfold.storage.files import Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="CSV with path, label, group")
    parser.add_argument("--films", type=int, default=300, help="number of drawn films (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    videos = read_manifest(arguments.manifest)
    clips = shares([frames_of(video.path) for video in videos], [str(video.group) for video in videos])
    drawn = []
    for seed in range(arguments.films):
        rng = np.random.default_rng(seed)
        drawn.append(film(draw_scene(rng), rng, frames=FRAMES, size=(112, 112), fps=12))
    figures = {"clips": clips, "films": shares(drawn, [str(number) for number in range(len(drawn))])}
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
    tiles, counts = Tiles(list(pictures[:, 0])), dict.fromkeys(("whole", "tiles", "window"), 0)
    near = Backgrounds(hashes[:, 0], hashes[:, : len(WINDOWS)])
    for start in range(0, len(films), BACKGROUNDS_AT_ONCE):
        for part in near.near(start):
            for candidate in part:
                x, y = int(candidate["x"]), int(candidate["y"])
                if groups[x] != groups[y]:
                    doubtful = candidate["bits"] > NEAR
                    counts["whole" if doubtful else "window"] += 1
                    counts["tiles"] += bool(doubtful and tiles.may_pass(x, tiles, np.array([y]), LEAST_SHARE)[0])
    pairs = sum(groups[x] != groups[y] for x, y in combinations(range(len(films)), 2))
    return {"pairs": pairs} | {name: round(count / pairs, 5) for name, count in counts.items()}


if __name__ == "__main__":
    main()
