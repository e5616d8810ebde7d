"""Measure the peak host memory of training on a thousand clips, and its growth from epoch to epoch.

    python benchmarks/training_memory.py --json training_memory.json

1,000 clips of 16 x 112 x 112 with two augmented copies each (1.8 GB) are written, and a small network is trained on
them for ten epochs in its own process. Its memory (`uss`: not shared with other processes) is sampled every 50 ms.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from stored import LABELS, model, run_fit, store_clips, write_fold

FRAMES, SIZE = 16, 112


def fit(data: dict[str, list[str]], splits: str, folder: str, epochs: int) -> None:
    """Train as the rule does."""
    entry = model(architecture="naive_cnn", width=4, frames=FRAMES, size=SIZE)
    run_fit(entry, data, splits, Path(folder), epochs=epochs, patience=epochs)


def watch(process: Any, history: Path) -> dict[int, float]:
    """Return the peak within each epoch, in MB of 10^6 bytes; epoch 0 lasts until the second begins."""
    peaks: dict[int, float] = {}
    running = psutil.Process(process.pid)
    while process.is_alive():
        try:
            used = running.memory_full_info().uss / 1e6
        except psutil.Error:
            break
        done = max(0, len(history.read_text().splitlines()) - 1) if history.exists() else 0
        peaks[done] = max(peaks.get(done, 0.0), used)
        time.sleep(0.05)
    process.join()
    if process.exitcode:
        raise SystemExit(f"training ended with exit code {process.exitcode}")
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000, help="how many")
    parser.add_argument("--copies", type=int, default=2, help="of each, besides itself")
    parser.add_argument("--epochs", type=int, default=10, help="how many")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        data = store_clips(folder, args.clips, FRAMES, SIZE, args.copies)
        names = [f"{number:05}" for number in range(args.clips)]
        labels = {name: LABELS[int(name) % 2] for name in names}
        tenth = args.clips // 10
        parts = {"train": names[: 8 * tenth], "val": names[8 * tenth : 9 * tenth], "test": names[9 * tenth :]}
        splits = write_fold(folder / "splits.parquet", labels, parts)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=fit, args=(data, splits, str(folder), args.epochs))
        process.start()
        by_epoch = watch(process, folder / "history.csv")
        stored = sum(Path(path).stat().st_size for kind in ("clips", "augmented") for path in data[kind])
        record = json.loads((folder / "record.json").read_text())
    later = [by_epoch[epoch] for epoch in range(1, args.epochs)]
    result = {
        "clips": args.clips,
        "copies": args.copies,
        "stored_mb": round(stored / 1e6),
        "peak_mb": round(max(by_epoch.values()), 1),
        "peak_rss_mib_by_stage": {stage: peak["host_mb"] for stage, peak in record["memory"].items()},
        "peak_mb_by_epoch": [round(by_epoch[epoch], 1) for epoch in sorted(by_epoch)],
        "growth_after_the_first_epoch": round(max(later) / later[0] - 1, 4),
        "seconds": round(record["seconds"], 1),
    }
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
