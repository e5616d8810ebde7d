"""Train three networks a little, export them, and compare time, size and answers with PyTorch.

    python benchmarks/export.py --manifest videos.csv --folder export --json export.json

Each network is trained on two folds. `clipfold export` writes both formats without its limits, so that what it would
refuse is measured, too; `refused` says so. `predict_s` is the CPU time of `clipfold predict` of all videos, in one
process and one thread: start, decoding and both fits. `start_s` and `start_mb` are CPU time and memory until a bundle
is loaded, before the first video.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.delivery import export as exporting
from clipfold.delivery.format import read_description
from clipfold.delivery.sources import find_videos
from clipfold.storage.files import write_json

PROJECT = Path(__file__).resolve().parents[1]
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT / "src")}
MVIT = {"architecture": "mvit_v2_s", "name": "mvit_v2_s", "size": 112, "epochs": 2, "batch_size": 2, "accumulate": 4}
NETWORKS = (
    {"architecture": "naive_cnn", "name": "naive_cnn"},
    {"architecture": "x3d", "name": "x3d_xs", "variant": "xs", "size": 160, "frames": 4, "epochs": 6},
    MVIT,
)
START = """
import resource, sys, clipfold
clipfold.load(sys.argv[1]).fits
used = resource.getrusage(resource.RUSAGE_SELF)
print(round(used.ru_utime + used.ru_stime, 1), used.ru_maxrss // 1024)
"""
CONFIG = {
    "decode": {"size": 160},
    "splits": {"folds": 2},
    "augment": {"copies": 0},
    "shortcuts": False,
    "models": NETWORKS,
    "bundle": {"models": [network["name"] for network in NETWORKS]},
}


def train(manifest: Path, folder: Path) -> dict[str, Path]:
    """Train the networks by the workflow; returns name -> bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"manifest": str(manifest.resolve())}))
    found = {name: folder / f"results/bundles/{name}/bundle.clipfold" for name in CONFIG["bundle"]["models"]}
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "--directory", str(folder)]
    targets = [str(path.relative_to(folder)) for path in found.values()]
    given = ["--configfile", str(folder / "config.json")]
    subprocess.run([*command, *targets, *given], cwd=PROJECT, env=ONE_THREAD, check=True)
    return found


def measure(bundle: Path, to: str, manifest: Path) -> dict[str, Any]:
    """Export a bundle and compare both; times of a clip are means over the fits."""
    output = bundle.with_name(f"{to}.clipfold")
    videos = None
    if to != exporting.PROGRAM:  # whose bundle predicts as before
        videos = find_videos([str(manifest)], sys.stdin, read_description(bundle).get("modality", "video"))
    refused: list[str] = []
    accept = exporting.accept

    def note(*given: Any) -> None:
        try:
            accept(*given)
        except ValueError as error:
            refused.append(str(error))

    exporting.accept = note
    try:
        rows, agreed = exporting.export(bundle, to, output, videos)
    finally:
        exporting.accept = accept
    times = {
        f"{name}_{threads}": round(float(np.mean([getattr(row, name) for row in rows if row.threads == threads])), 1)
        for threads in sorted({row.threads for row in rows})
        for name in ("eager_ms", "exported_ms", "eager_batch_ms", "exported_batch_ms")
    }
    sizes = {name: round(getattr(rows[0], name) / 1e6, 2) for name in ("eager_bytes", "exported_bytes")}
    golden = max(row.difference for row in rows)
    return (
        times
        | sizes
        | {"golden": golden, "refused": refused}
        | (asdict(agreed) if agreed else {})
        | {"predict_s": predict(output, manifest)}
        | start(output)
    )


def predict(bundle: Path, manifest: Path) -> float:
    """Return the CPU time in s that `clipfold predict` takes for all videos."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "clipfold.cli", "predict", str(bundle), str(manifest), "--no-page"]
    output = bundle.with_suffix(".csv")
    output.unlink(missing_ok=True)
    subprocess.run([*command, "--workers", "1", "--output", str(output)], env=ONE_THREAD, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


def start(bundle: Path) -> dict[str, float]:
    """Load a bundle in a new process; returns CPU time in s and memory in MB, Linux."""
    done = subprocess.run([sys.executable, "-c", START, str(bundle)], env=ONE_THREAD, capture_output=True, check=True)
    seconds, megabytes = done.stdout.split()
    return {"start_s": float(seconds), "start_mb": float(megabytes)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="table of labelled videos")
    parser.add_argument("--folder", type=Path, required=True, help="where to train; existing files are used again")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    for name, bundle in train(arguments.manifest, arguments.folder).items():
        figures[name] = {"eager": {"predict_s": predict(bundle, arguments.manifest)} | start(bundle)}
        for to in exporting.TOLERANCES:
            figures[name][to] = measure(bundle, to, arguments.manifest)
            print(name, to, json.dumps(figures[name][to], indent=1), flush=True)
            if arguments.json:
                write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
