"""Measure the time of the search for near duplicates among many videos, by stage.

Films are drawn, hashed and searched, by the workflow's own functions; from two numbers of videos, the time of each
stage is extrapolated to 100,000 and to 1,000,000 as a sum of a linear and a quadratic part. Not that of the search by
keypoints, `parts`: its index has more words for more videos, but at most a million. So some of the films are searched
in an index of fewer words, as full as those of 100,000 or 1,000,000 videos would be.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage import words
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.keypoint_index import Index
from clipfold.leakage.pairs import Pairs
from clipfold.leakage.parts import Parts
from clipfold.leakage.search import Search
from clipfold.leakage.videos import Stored, Videos
from clipfold.storage.files import ArrayWriter, write_table
from clipfold.storage.job import keep_freed_memory
from clipfold.video.decode_shard import index_schema
from clipfold.video.views import Uniform

SHAPE = (16, 112, 112, 3)
TARGETS = 100_000, 1_000_000
ASKED = 200
"""Films that are searched in indices with full words."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs=2, default=(2000, 4000), help="two numbers (default: 2000 4000)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the jobs do
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = draw(folder, max(arguments.videos))
        rows = [measured(folder, count) for count in arguments.videos]
        full = {videos: in_full_words(folder, max(arguments.videos), videos) for videos in TARGETS}
    hours = {f"{videos:,}": extrapolated(rows, videos, full[videos]) for videos in TARGETS}
    figures = {"seconds_to_hash_a_video": drawn, "runs": rows, "core_hours": hours}
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def draw(folder: Path, count: int) -> float:
    """Draw and hash films in shards of 500; return the CPU time of hashing one, in seconds."""
    spent = 0.0
    for start in range(0, count, 500):
        shard = folder / f"{start:06}"
        shard.mkdir(parents=True)
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


def opened(folder: Path, count: int) -> Videos:
    """Open the first `count` films."""
    shards = sorted(path for path in folder.iterdir() if path.is_dir())[: -(-count // 500)]
    files = {name: [shard / name for shard in shards] for name in ("hashes", "pictures", "keypoints", "clips")}
    return Videos(Stored(**files, indices=[shard / "index" for shard in shards]))


def in_full_words(folder: Path, count: int, videos: int) -> float:
    """Return the CPU seconds in which a film is searched by keypoints, in words as full as those of more videos."""
    films = opened(folder, count)
    keypoints, most = films.keypoints(), words.LARGEST
    words.LARGEST = round(most * (count / videos) ** 0.5)
    try:
        parts = Parts(keypoints, films.counts, Index.build(keypoints, films.counts), films.grey)
    finally:
        words.LARGEST = most
    asked = range(0, count, max(1, count // ASKED))
    began = time.process_time()
    with threadpool_limits(1):
        for film in asked:
            parts.pairs(film)
    return (time.process_time() - began) / len(asked)


def measured(folder: Path, count: int) -> dict[str, Any]:
    """Search the first `count` films, in one block; return the CPU seconds of each stage."""
    videos = opened(folder, count)
    seconds: dict[str, float] = {}

    def timed(stage: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = call()
        seconds[stage] = time.process_time() - began
        return found

    keypoints = videos.keypoints()
    index = timed("index of keypoints", lambda: Index.build(keypoints, videos.counts))
    parts = Parts(keypoints, videos.counts, index, videos.grey)
    search = Search(videos.whole(), videos.windows, videos.frames(), videos.pictures, parts)
    known, every = Pairs(len(videos)), range(len(videos))
    with threadpool_limits(1):
        backgrounds = timed("backgrounds", lambda: search.backgrounds(every))
        search.decide([backgrounds], known)
        search.decide([timed("parts", lambda: search.parts(every, backgrounds))], known)
        common = timed("common frames", lambda: search.common(known))
        search.decide([timed("frames", lambda: search.frames(every, common, known))], known)
    return {"videos": len(videos), "cpu_seconds": seconds, "pairs": len(known)}


def extrapolated(rows: list[dict[str, Any]], videos: int, each: float) -> dict[str, float]:
    """Return the hours of each stage for `videos`, of which the search by keypoints takes `each` seconds.

    To the other stages a linear and a quadratic part are fitted, neither negative.
    """
    counts = np.array([row["videos"] for row in rows], float)
    hours = {}
    for stage in rows[0]["cpu_seconds"]:
        spent = np.array([row["cpu_seconds"][stage] for row in rows])
        parts, _ = nnls(np.stack([counts, counts**2], axis=1) / spent[:, None], np.ones(2))
        hours[stage] = round(float(parts @ [videos, videos**2]) / 3600, 3)
    hours["parts"] = round(each * videos / 3600, 3)
    return hours | {"all": round(sum(hours.values()), 2)}


if __name__ == "__main__":
    main()
