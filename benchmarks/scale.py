"""Measure a start of Snakemake with many videos: parse time, time and memory of a dry run, number of jobs.

    python benchmarks/scale.py --videos 100000 --json scale.json

The videos are rows of a manifest and empty files; 12 models are planned on 5 folds. A first dry run with cold caches is
not counted. `parse_s` is the overhead of each job before it begins: a start as that of a job, which reads the workflow
and lists its rules, minus the start of Snakemake itself. `first_parse_s` is the same of the run, which reads all rows
of the manifest; `index_s` is what it takes to write the index for its jobs. With `--results`, the stages that read all
rows are measured instead, for 6 models (see `scale_results.py`).
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import scale_results
import yaml

PROJECT = Path(__file__).resolve().parents[1]
MODELS = ["logistic_regression", "svm", "feature_mlp", "gradient_boosting", "naive_cnn", "variable_ar_cnn"]
MODELS += ["slowfast", "x3d", "vit_gru", "vit_transformer", "cnn_lstm", "r3d_18"]
DATA = ("probe", "decode", "augment", "resize", "features", "hashes")


def make_videos(folder: Path, videos: int) -> None:
    """Write the manifest with two further columns, the config, and an empty file per video."""
    (folder / "videos").mkdir()
    with open(folder / "videos.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "group", "site", "date"])
        for number in range(videos):
            path = f"videos/{number // 1000:03}/{number:06}.mp4"
            if number % 1000 == 0:
                (folder / path).parent.mkdir()
            (folder / path).touch()
            rows.writerow([path, "ab"[number % 2], f"source-{number // 4}", f"site-{number % 7}", "2024-01-01"])
    (folder / "config.yaml").write_text(yaml.safe_dump({"manifest": "videos.csv", "models": MODELS}))
    (folder / "Snakefile").write_text("rule all:\n    input: []\n")


def measure(folder: Path, snakefile: Path, *arguments: str) -> tuple[float, float, str]:
    """Start Snakemake; return wall seconds, peak memory in MB, and its output."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--directory", str(folder)]
    command += ["--profile", str(PROJECT / "profiles/local"), "--cores", "2"]
    measured = "import resource, runpy, sys; sys.argv[0] = 'snakemake'; import atexit; atexit.register(lambda: print("
    measured += "'PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)); "
    measured += "runpy.run_module('snakemake', run_name='__main__', alter_sys=True)"
    command[1:3] = ["-c", measured]
    started = time.perf_counter()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    peak = re.search(r"^PEAK (\d+)", done.stderr, re.M)
    assert peak is not None
    return seconds, float(peak[1]), done.stdout + done.stderr


INDEX = """
import sys, time
from pathlib import Path
import yaml
from clipfold.plan import Plan
plan = Plan.from_config(yaml.safe_load(Path("config.yaml").read_text()), [Path()])
started = time.perf_counter()
plan.write_index(Path("results/plan"))
print(time.perf_counter() - started)
"""


def write_index(folder: Path) -> float:
    """Write the index as a run does before its first job; return the seconds that it takes."""
    done = subprocess.run([sys.executable, "-c", INDEX], cwd=folder, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1000, help="rows of the manifest (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="the best counts (default: %(default)s)")
    parser.add_argument("--results", action="store_true", help="measure splits, audit, evaluation and report instead")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        if args.results:
            write(args, {"videos": args.videos} | scale_results.measure(Path(root), args.videos))
            return
        folder = Path(root)
        make_videos(folder, args.videos)
        configured = ("--configfile", str(folder / "config.yaml"))
        workflow = PROJECT / "Snakefile"
        dry = ("--dry-run", "--quiet", "rules", *configured)
        measure(folder, workflow, *dry)
        runs = [measure(folder, workflow, *dry) for _ in range(args.rounds)]
        first = min(measure(folder, workflow, "--list-rules", *configured)[0] for _ in range(args.rounds))
        index = write_index(folder)
        job = ("--mode", "subprocess", "--list-rules", *configured)
        parses = [measure(folder, workflow, *job)[0] for _ in range(args.rounds)]
        floor = min(measure(folder, folder / "Snakefile", "--list-rules")[0] for _ in range(args.rounds))
    table = runs[0][2].partition("Job stats:")[2]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}
    result = {
        "videos": args.videos,
        "parse_s": round(min(parses) - floor, 2),
        "first_parse_s": round(first - floor, 2),
        "index_s": round(index, 2),
        "start_s": round(floor, 2),
        "dry_run_s": round(min(seconds for seconds, _, _ in runs), 2),
        "peak_mb": max(peak for _, peak, _ in runs),
        "jobs": jobs["total"],
        "data_jobs_per_1000_videos": round(1000 * sum(jobs.get(rule, 0) for rule in DATA) / args.videos, 1),
    }
    write(args, result)


def write(args: argparse.Namespace, result: dict[str, Any]) -> None:
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
