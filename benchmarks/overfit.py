"""Let every network of the catalog memorise 8 clips: epochs and seconds until all training clips are right.

    python benchmarks/overfit.py --json overfit.json

The clips are of the demo's videos, four real and four tampered, 8 frames of 64 pixels. Validation is on the same clips
in evaluation mode, so that running statistics must be right too. Weights are random, dropout is off.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from stored import build, model, run_fit, write_fold

from clipfold.demo.write import make_demo
from clipfold.manifest.read import read_manifest
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.model import Model
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import ArrayWriter, read_table, write_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

FRAMES, SIZE, OF_EACH = 8, 64, 4
SETTINGS: dict[str, dict[str, Any]] = {
    "x3d": {"variant": "xs"},
    "variable_ar_cnn": {"width": 8},
}
"""Settings that make an architecture small, where its defaults do not."""


def decode_demo(folder: Path) -> tuple[dict[str, list[str]], str]:
    """Make and decode videos; return the files of their shard, and a fold with 8 of them in all splits."""
    videos = read_manifest(make_demo(folder, sources=3), {})
    paths = {v.id: v.path for v in videos}
    metadata, index, clips = folder / "metadata.parquet", folder / "index.parquet", folder / "clips.npy"
    probe_shard(paths, metadata, ProbeSettings(), 1)
    settings = DecodeSettings(size=SIZE, views={"clips": {"kind": "uniform", "frames": FRAMES}})
    decode_shard(paths, metadata, {"clips": clips}, index, settings, 1)
    with ArrayWriter(folder / "copies.npy", (FRAMES, SIZE, SIZE, 3), "uint8"):
        pass
    schema = pa.schema({"id": pa.string(), "row": pa.int64()})
    write_table(folder / "copies.parquet", pa.Table.from_pylist([], schema=schema))
    usable = {row["id"] for row in read_table(index).to_pylist() if row["status"] == "ok"}
    labels = {v.id: v.label for v in videos if v.id in usable}
    chosen = [v for label in sorted(set(labels.values())) for v in [i for i in labels if labels[i] == label][:OF_EACH]]
    data = {
        "clips": [str(clips)],
        "index": [str(index)],
        "augmented": [str(folder / "copies.npy")],
        "augmented_index": [str(folder / "copies.parquet")],
    }
    return data, write_fold(folder / "splits.parquet", labels, dict.fromkeys(("train", "val", "test"), chosen))


def fit_until_perfect(entry: Model, data: dict[str, list[str]], splits: str, folder: Path, epochs: int) -> None:
    """Fit, and ask the trainer to stop, as a cluster would, once all validation clips are right."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            with contextlib.suppress(FileNotFoundError):
                if pd.read_csv(folder / "history.csv").val_accuracy.iloc[-1] == 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return

    watching = threading.Thread(target=watch)
    watching.start()
    with contextlib.suppress(SystemExit):
        run_fit(entry, data, splits, folder, epochs=epochs, patience=epochs)
    ended.set()
    watching.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = [name for name, known in ARCHITECTURES.items() if known.input == "clips"]
    parser.add_argument("--only", nargs="+", choices=networks, default=networks, help="these architectures")
    parser.add_argument("--epochs", type=int, default=60, help="most epochs, of two steps")
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate, constant after its warm-up")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: None)  # in case it arrives as a fit ends by itself
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        data, splits = decode_demo(Path(root))
        for name in args.only:
            small = {"frames": FRAMES, "size": SIZE, "batch_size": 4, "dropout": 0.0, "weight_decay": 0.0}
            rates = {"learning_rate": args.rate, "schedule": "constant"}
            entry = model(architecture=name, **small, **rates, **SETTINGS.get(name, {}))
            folder = Path(root, name)
            cpu = time.process_time()
            fit_until_perfect(entry, data, splits, folder, args.epochs)
            cpu = time.process_time() - cpu
            history = pd.read_csv(folder / "history.csv")
            last = history.iloc[-1]
            result[name] = {
                "million_parameters": round(sum(p.numel() for p in build(entry).parameters()) / 1e6, 2),
                "val_accuracy": float(last.val_accuracy),
                "epochs": int(last.epoch),
                "seconds": round(float(last.seconds), 1),
                "cpu_seconds": round(cpu, 1),
                "train_loss": round(float(last.train_loss), 4),
            }
            print(f"{name}: {json.dumps(result[name])}", flush=True)
            if args.json:
                args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
