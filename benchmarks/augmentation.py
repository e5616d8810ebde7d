"""Measure augmented copies: the time to make them, relative to decoding, and the speed of training that replays them.

    python benchmarks/augmentation.py --videos 'clips/*.mp4' --json augmentation.json

- copies: for each preset, CPU time of making the default number of copies of all videos and writing them, relative to
  the CPU time of decoding the videos into the default views, on one thread.
- training: CPU time of loading the clips of all epochs, with stored and with replayed copies by turns, and of the steps
  of the first epochs, on one thread; from these, the speed of training relative to that with stored copies. Two
  thirds of the clips of an epoch are copies. "not kept": without memory for copies that were made, as in an epoch
  over many more videos than fit into it.
- disk: bytes of a video's default views, and of stored copies at the size of the views.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stored import build, model

from clipfold.clips import reader
from clipfold.clips.augment import Copies, draw_shard, store_copies
from clipfold.clips.presets import PRESETS
from clipfold.clips.reader import KEPT_BYTES, Clips
from clipfold.clips.resize import resize_shard
from clipfold.models.device import Precision, place
from clipfold.models.model import Model
from clipfold.settings import AugmentSettings, DecodeSettings, ProbeSettings
from clipfold.storage.job import keep_freed_memory
from clipfold.training.batches import BatchSource
from clipfold.training.distributed import Processes
from clipfold.training.losses import Loss
from clipfold.training.optimisation import make_optimizer
from clipfold.training.order import epoch_order
from clipfold.training.train_step import TrainStep
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

ENTRIES = {
    "naive_cnn": {"architecture": "naive_cnn", "frames": 16, "size": 64},
    "x3d xs": {"architecture": "x3d", "variant": "xs", "frames": 4, "size": 160, "batch_size": 2},
}
TIMED_EPOCHS = 4
VIDEOS = 16
"""Videos that networks learn from here."""
SIZES = {"naive_cnn": DecodeSettings().size, "x3d xs": 160}
"""Edge in pixels of the clips as decoded, from which copies are made."""


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def decode(paths: Mapping[str, str], folder: Path, size: int) -> float:
    """Decode videos into the default views, and return the CPU seconds that it took."""
    settings = DecodeSettings(size=size)
    probe_shard(paths, folder / "metadata.parquet", ProbeSettings(), workers=1)
    arrays = {name: folder / f"{name}.npy" for name in settings.views}
    began = cpu_seconds()
    decode_shard(paths, folder / "metadata.parquet", arrays, folder / "index.parquet", settings, workers=1)
    return cpu_seconds() - began


def draw(folder: Path, preset: str) -> Path:
    """Draw the parameters of the default number of copies, and return their table."""
    drawn = folder / f"{preset}.parquet"
    draw_shard(folder / "index.parquet", drawn, seed=0, **AugmentSettings(preset=preset).drawn)
    return drawn


def copies(folder: Path, size: int) -> dict[str, float]:
    """Return the CPU seconds of making and writing all copies of each preset."""
    seconds = {}
    for preset in PRESETS:
        began = cpu_seconds()
        table = draw(folder, preset)
        made = Copies(folder / "clips.npy", folder / "index.parquet", table, size)
        store_copies(made, folder / f"{preset}.npy")
        seconds[preset] = cpu_seconds() - began
    return seconds


def disk(folder: Path, videos: int) -> dict[str, float]:
    """Return the MB on disk of a video's views, and of its stored copies."""
    views = [folder / f"{name}.npy" for name in DecodeSettings().views]
    files = {"views": views, "copies": [folder / "light.npy"]}
    return {
        name: round(sum(path.stat().st_blocks for path in paths) * 512 / 1e6 / videos, 2)
        for name, paths in files.items()
    }


def training(entry: Model, folder: Path, names: list[str], epochs: int, preset: str) -> dict[str, Any]:
    """Return the CPU time of steps and of loading their clips, and the speed on replayed copies."""
    size, batch = entry.settings["size"], entry.settings["batch_size"]
    clips = folder / f"{size}.npy"
    resize_shard(folder / "clips.npy", clips, size)
    drawn = draw(folder, preset)
    decoded = folder / "clips.npy"
    store_copies(Copies(decoded, folder / "index.parquet", drawn, size), folder / "stored.npy")
    files = {"clips": [clips], "index": [folder / "index.parquet"], "augmented_index": [drawn]}
    device, targets = torch.device("cpu"), np.arange(len(names)) % 2
    replayed = files | {"decoded": [decoded]}
    kinds = {"stored": files | {"augmented": [folder / "stored.npy"]}, "replayed": replayed, "not kept": replayed}
    sources = {
        kind: BatchSource(Clips(data, entry.settings["frames"], size, size), names, targets, device, 0, augmented=True)
        for kind, data in kinds.items()
    }
    torch.manual_seed(0)
    network = build(entry)
    place(network, entry.settings, device)
    network.train()
    optimizer = make_optimizer(network, entry.settings, device)
    loss = Loss(entry.settings, targets, 2, device)
    step = TrainStep(network, optimizer, loss, Precision("fp32", device), entry.settings, Processes(), device, batch)
    loading = dict.fromkeys(kinds, 0.0)
    stepping = []
    for epoch in range(epochs):
        videos, versions = epoch_order(targets, sources["stored"].versions, seed=0, epoch=epoch, balanced=False)
        wanted = [(videos[i : i + batch], versions[i : i + batch]) for i in range(0, len(videos), batch)]
        for kind in np.roll(list(kinds), epoch):
            reader.KEPT_BYTES = 0 if kind == "not kept" else KEPT_BYTES
            began = time.process_time()
            batches = list(sources[kind].batches(wanted))
            loading[kind] += time.process_time() - began
        for number, clips_of_step in enumerate(batches if epoch < TIMED_EPOCHS else ()):
            began = time.process_time()
            step(clips_of_step, len(clips_of_step.targets), number, number)
            stepping.append(time.process_time() - began)
    steps = statistics.median(stepping[1:]) * len(wanted) * epochs
    speeds = {kind: round((steps + loading["stored"]) / (steps + loading[kind]), 3) for kind in list(kinds)[1:]}
    each = {kind: round(1000 * seconds / epochs / len(names), 3) for kind, seconds in loading.items()}
    return {
        "step_ms_per_clip": round(1000 * steps / epochs / len(names), 2),
        "loading_ms_per_clip": each,
        "speed": speeds,
    }


def main() -> None:
    """Measure on the command line's videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="pattern of short video files")
    parser.add_argument("--epochs", type=int, default=30, help="epochs of a training")
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    paths = {Path(path).stem: path for path in sorted(glob.glob(arguments.videos, recursive=True))}
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "default")
        folder.mkdir()
        seconds = decode(paths, folder, DecodeSettings().size)
        made = copies(folder, DecodeSettings().size)
        figures: dict[str, Any] = {
            "videos": len(paths),
            "decode_cpu_s": round(seconds, 2),
            "copies_cpu_s": {preset: round(value, 2) for preset, value in made.items()},
            "copies_to_decode": {preset: round(value / seconds, 3) for preset, value in made.items()},
            "disk_mb_per_video": disk(folder, len(paths)),
        }
        print(json.dumps(figures), flush=True)
        for kind, entry in ENTRIES.items():
            folder = Path(name, kind)
            folder.mkdir()
            decode(dict(list(paths.items())[:VIDEOS]), folder, SIZES[kind])
            for preset in ("light", "forensic", "video"):
                found = training(model(**entry), folder, list(paths)[:VIDEOS], arguments.epochs, preset)
                figures[f"{kind}, {preset}"] = found
                print(kind, preset, found, flush=True)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
