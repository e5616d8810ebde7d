"""Measure the time of the search for near duplicates among many videos, by stage.

Films are drawn, hashed and searched, by the workflow's own functions and in its blocks; from two numbers of videos, the
time of each stage is extrapolated to 100,000 and to 1,000,000 as a sum of a linear and a quadratic part. Not those of
look-ups, which take less time the more there is:

- `windows` and `frames`: some films are looked up among as many hashes as a job looks them up at once: those of the
  films, again and again, each time with other bits changed in all of them.
- `parts`: the index of keypoints has more words for more videos, but at most a million. So some of the films are
  searched in an index of fewer words, as full as those of 100,000 or 1,000,000 videos would be, and the time of making
  the index is that with a million words.
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
from clipfold.leakage.candidates import FRAMES_AT_ONCE, WINDOWS_AT_ONCE, Backgrounds, Frames
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.keypoint_index import FILES, Index
from clipfold.leakage.pairs import Pairs
from clipfold.leakage.parts import Parts
from clipfold.leakage.search import Search, blocks_of
from clipfold.leakage.videos import Stored, Videos
from clipfold.storage.files import Array, ArrayWriter, write_table
from clipfold.storage.job import keep_freed_memory
from clipfold.video.decode_shard import index_schema
from clipfold.video.views import Uniform

SHAPE = (16, 112, 112, 3)
TARGETS = 100_000, 1_000_000
ASKED, LOOKED_UP = 200, 1024
"""Films that are searched in indices with full words, and whose hashes are looked up."""

BLOCK = 4096
"""Most videos of a job (`rules/inputs.smk`)."""


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
        films = opened(folder, max(arguments.videos))
        each = look_ups(films) | {"index of keypoints": index_of_a_million_words(films)}
        hours = {}
        for videos in TARGETS:
            taken = {
                "windows": each["windows"] * videos / WINDOWS_AT_ONCE,
                "frames": each["frames"] * videos / FRAMES_AT_ONCE / 2,  # later ones alone
                "index of keypoints": each["index of keypoints"],
                "parts": in_full_words(films, videos),
            }
            hours[f"{videos:,}"] = extrapolated(rows, videos, taken)
    figures = {"seconds_to_hash_a_video": drawn, "runs": rows, "core_hours": hours}
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def draw(folder: Path, count: int) -> float:
    """Draw and hash films in shards of 500; return the CPU time of hashing one, in seconds."""
    seconds = 0.0
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
        seconds += time.process_time() - began
    return seconds / count


def opened(folder: Path, count: int) -> Videos:
    """Open the first `count` films."""
    shards = sorted(path for path in folder.iterdir() if path.is_dir())[: -(-count // 500)]
    files = {name: [shard / name for shard in shards] for name in ("hashes", "pictures", "keypoints", "clips")}
    return Videos(Stored(**files, indices=[shard / "index" for shard in shards]))


def look_ups(films: Videos) -> dict[str, float]:
    """Return the CPU seconds in which a film's windows, and its frames, are looked up among as many as at once."""
    rng = np.random.default_rng(0)

    def made(hashes: Array, count: int) -> Array:
        masks = rng.integers(0, 2**64, -(-count // len(hashes)), dtype=np.uint64)
        masks[0] = 0
        return np.concatenate([hashes ^ mask for mask in masks])[:count]

    whole, frames = made(films.whole(), WINDOWS_AT_ONCE), made(films.frames(), FRAMES_AT_ONCE)
    own = films.windows(range(LOOKED_UP))
    windows = spent(lambda: Backgrounds(whole, own).windows(0))
    others = spent(lambda: Frames(frames, np.zeros(frames.shape, bool), 0).near(range(LOOKED_UP)))
    return {"windows": windows / LOOKED_UP, "frames": others / LOOKED_UP}


def index_of_a_million_words(films: Videos) -> float:
    """Return the CPU seconds in which a film is added to an index with the most words that there are."""
    keypoints, usual = films.keypoints(), words.PER_WORD
    words.PER_WORD = sum(map(len, keypoints)) / words.LARGEST**2
    try:
        return spent(lambda: Index.build(keypoints, films.counts)) / len(films)
    finally:
        words.PER_WORD = usual


def spent(call: Callable[[], Any]) -> float:
    """Return the CPU seconds that a call takes, on one thread."""
    with threadpool_limits(1):
        began = time.process_time()
        call()
        return time.process_time() - began


def in_full_words(films: Videos, videos: int) -> float:
    """Return the CPU seconds in which a film is searched by keypoints, in words as full as those of more videos.

    Films in the middle are asked, in an index without earlier ones, as that of the block in the middle is.
    """
    keypoints, most, middle = films.keypoints(), words.LARGEST, len(films) // 2
    words.LARGEST = round(most * (len(films) / videos) ** 0.5)
    with tempfile.TemporaryDirectory() as name:
        files = {kind: Path(name, kind) for kind in FILES}
        try:
            Index.write(keypoints, films.counts, files)
        finally:
            words.LARGEST = most
        parts = Parts(keypoints, films.counts, Index(files, middle), films.grey)
        return spent(lambda: [parts.pairs(film) for film in range(middle, middle + ASKED)]) / ASKED


def measured(folder: Path, count: int) -> dict[str, Any]:
    """Search the first `count` films, in blocks; return the CPU seconds of each stage."""
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
    whole = videos.whole()
    search = Search(whole, videos.windows, videos.frames(), videos.pictures, parts)
    known, blocks = Pairs(count), blocks_of(count, -(-count // BLOCK))
    with threadpool_limits(1):
        found = timed("backgrounds", lambda: [search.backgrounds(block) for block in blocks])
        timed(
            "windows", lambda: [Backgrounds(whole, videos.windows(block), block.start).windows(0) for block in blocks]
        )
        seconds["pictures"] = seconds.pop("backgrounds") - seconds["windows"]
        search.decide(found, known)
        search.decide(timed("parts", lambda: list(map(search.parts, blocks, found))), known)
        common = timed("common frames", lambda: search.common(known))
        search.decide(timed("frames", lambda: [search.frames(block, common, known) for block in blocks]), known)
    return {"videos": len(videos), "cpu_seconds": seconds, "pairs": len(known)}


def extrapolated(rows: list[dict[str, Any]], videos: int, each: dict[str, float]) -> dict[str, float]:
    """Return the hours of each stage for `videos`.

    Some take `each` seconds a film; to the others a linear and a quadratic part are fitted, neither negative.
    """
    counts = np.array([row["videos"] for row in rows], float)
    hours = {}
    for stage in rows[0]["cpu_seconds"]:
        seconds = np.array([row["cpu_seconds"][stage] for row in rows])
        parts, _ = nnls(np.stack([counts, counts**2], axis=1) / seconds[:, None], np.ones(2))
        total = each[stage] * videos if stage in each else float(parts @ [videos, videos**2])
        hours[stage] = round(total / 3600, 3)
    return hours | {"all": round(sum(hours.values()), 2)}


if __name__ == "__main__":
    main()
