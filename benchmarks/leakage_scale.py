"""Measure the time and memory of the search for near duplicates among many videos.

Films are drawn, hashed and matched, by the workflow's own functions; from two numbers of videos, time is
extrapolated to 100,000 as a sum of a linear and a quadratic part.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.matches import match
from clipfold.leakage.videos import Stored
from clipfold.storage.files import ArrayWriter, write_table
from clipfold.video.decode_shard import index_schema
from clipfold.video.views import Uniform

SHAPE = (16, 112, 112, 3)
TARGET = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs=2, default=(2000, 4000), help="two numbers (default: 2000 4000)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = draw(folder, max(arguments.videos))
        rows = [measured(folder, count) for count in arguments.videos]
    figures = {"seconds_to_hash_a_video": drawn, "runs": rows, "hours_of_cpu_for_100000": extrapolated(rows) / 3600}
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def draw(folder: Path, count: int) -> float:
    """Draw and hash films in shards of 500; return the CPU time of hashing one, in seconds."""
    spent = 0.0
    for start in range(0, count, 500):
        shard = folder / f"{start:06}"
        shard.mkdir()
        names = range(start, min(start + 500, count))
        with ArrayWriter(shard / "clips", SHAPE, np.uint8) as array:
            for seed in names:
                rng = np.random.default_rng(seed)
                array.append(film(draw_scene(rng), rng, frames=16, size=SHAPE[1:3], fps=12))
        rows: list[dict[str, Any]] = [
            {"id": f"{seed:06}", "row": row, "clips_box": [0, 0, 112, 112]} for row, seed in enumerate(names)
        ]
        write_table(shard / "index", rows, index_schema({"clips": Uniform(frames=1, size=16)}))
        began = time.process_time()
        hash_shard(shard / "clips", shard / "index", *(shard / each for each in ("hashes", "pictures", "keypoints")))
        spent += time.process_time() - began
    return spent / count


def measured(folder: Path, count: int) -> dict[str, Any]:
    """Match the first `count` films."""
    shards = sorted(path for path in folder.iterdir() if path.is_dir())[: -(-count // 500)]
    files = {name: [shard / name for shard in shards] for name in ("hashes", "pictures", "keypoints", "clips")}
    began = time.process_time()
    match(Stored(**files, indices=[shard / "index" for shard in shards]), folder / "matches", threads=1)
    return {"videos": count, "cpu_seconds": time.process_time() - began}


def extrapolated(rows: list[dict[str, Any]]) -> float:
    """Fit a linear and a quadratic part to two times; return the time for `TARGET` videos in seconds."""
    counts = np.array([row["videos"] for row in rows], float)
    parts = np.linalg.solve(np.stack([counts, counts**2], axis=1), [row["cpu_seconds"] for row in rows])
    return float(parts @ [TARGET, TARGET**2])


if __name__ == "__main__":
    main()
