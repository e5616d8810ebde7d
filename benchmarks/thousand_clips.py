"""Probe, decode and resize many clips with the workflow, and compare with ffmpeg programs that only decode them.

    python benchmarks/thousand_clips.py --videos 'clips/*.mp4' --clips 1000 --json thousand.json

The clips are the given files, linked under the requested number of ids. Both sides have two cores: Snakemake with
`--cores 2`, and two `ffmpeg -threads 1 -i CLIP -f null -` at a time. They take turns; the best round of each counts.
Overhead is the wall time in excess of half of the jobs' own time by their logs, which begin after the imports:
planning, Python starts and imports, waiting, and the last job while the other core is idle.

With `--whole` the workflow runs up to the report, with the default models, and only its overhead is measured.
"""

from __future__ import annotations

import argparse
import csv
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pandas as pd

from clipfold.manifest.read import read_manifest
from clipfold.manifest.shards import shard_videos
from clipfold.resources.usage import read_usage

PROJECT = Path(__file__).resolve().parents[1]
CORES = 2
SIZE = 64
SHARD_SIZE = 512
CONFIG = {
    "manifest": "videos.csv",
    "shard_size": SHARD_SIZE,
    "policy": {"duplicate": "use"},  # the same file under another id
    "splits": {"merge_near_duplicates": True},
}


def link_clips(sources: list[str], clips: int, folder: Path) -> list[Path]:
    """Link the files under the requested number of names and write the manifest; all names of one file are a group."""
    (folder / "clips").mkdir(parents=True)
    rows, paths = [("path", "label", "group")], []
    for number, (source, file) in enumerate(islice(cycle(enumerate(sources)), clips)):
        path = folder / "clips" / f"{number:05}{Path(file).suffix}"
        path.symlink_to(Path(file).resolve())
        rows.append((str(path), "ab"[source % 2], str(source)))
        paths.append(path)
    with open(folder / "videos.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return paths


def run_workflow(folder: Path, whole: bool) -> tuple[float, float]:
    """Return the wall seconds of the command, and the seconds of its jobs' work times their threads.

    Args:
        folder: with the manifest.
        whole: run up to the report, instead of the last resized shard.
    """
    shutil.rmtree(folder / "results", ignore_errors=True)
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    shards = shard_videos(read_manifest(folder / "videos.csv", {}), SHARD_SIZE)
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--directory", str(folder)),
        *("--profile", str(PROJECT / "profiles/local"), "--cores", str(CORES)),
        *("--configfile", str(folder / "config.yaml"), "--quiet", "all", "--"),
        *([] if whole else [f"results/resized/{SIZE}/{shard}.npy" for shard in shards]),
    ]
    (folder / "config.yaml").write_text(json.dumps(CONFIG))
    started = time.perf_counter()
    subprocess.run(command, check=True)
    wall = time.perf_counter() - started
    asked = json.loads((folder / "results/resources.json").read_text())
    work = 0.0
    for log in (folder / "logs").rglob("*.log"):
        rule = log.relative_to(folder / "logs").parts[0].removesuffix(".log")
        seconds = sum(float(took) for took in re.findall(r"INFO took ([\d.]+) s", log.read_text()))
        work += seconds * asked[rule]["threads"]
    return wall, work


def run_ffmpeg(program: str, clips: list[Path]) -> float:
    """Return the wall seconds for decoding all clips, two programs at a time."""

    def decode(clip: Path) -> None:
        command = [program, "-v", "error", "-threads", "1", "-i", str(clip), "-f", "null", "-"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    started = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(decode, clips))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="pattern of the files (** goes into folders)")
    parser.add_argument("--clips", type=int, default=1000, help="how many ids to link them under")
    parser.add_argument("--whole", action="store_true", help="to the report; then ffmpeg has no turn")
    parser.add_argument("--rounds", type=int, default=2, help="the best of each side counts")
    parser.add_argument("--ffmpeg", default=imageio_ffmpeg.get_ffmpeg_exe(), help="the program")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    sources = sorted(glob.glob(args.videos, recursive=True))
    if not sources:
        parser.error(f"--videos {args.videos}: no such files; quote the pattern")

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "work"
        clips = link_clips(sources, args.clips, folder)
        workflow, ffmpeg = [], []
        for _ in range(args.rounds):
            if not args.whole:
                ffmpeg.append(run_ffmpeg(args.ffmpeg, clips))
            workflow.append(run_workflow(folder, args.whole))
        indices = [pd.read_parquet(path) for path in sorted((folder / "results/frames").glob("*/index.parquet"))]
        index = pd.concat(indices)
        stages = {
            rule: round(sum(use.seconds for use in uses), 1)
            for rule, uses in read_usage(folder / "results/benchmarks").items()
        }
    result: dict[str, Any] = {
        "clips": len(clips),
        "usable": int((index.status == "ok").sum()),
        "cores": CORES,
        "processors": os.cpu_count(),
        "workflow_s": [round(seconds, 1) for seconds, _ in workflow],
        "ffmpeg_s": [round(seconds, 1) for seconds in ffmpeg],
        "ratio": round(min(workflow)[0] / min(ffmpeg), 3) if ffmpeg else None,
        "overhead": [round(seconds * CORES / work - 1, 3) for seconds, work in workflow],
        "jobs_s": stages,
    }
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
