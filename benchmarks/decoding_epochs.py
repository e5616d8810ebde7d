"""Time epochs of Lightning, which decodes its videos in each, and of the trainer on stored clips."""

from __future__ import annotations

import importlib
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stored import LABELS, build, cpu_seconds, run_fit, store_clips, write_fold
from torch import Tensor, nn

from clipfold.models.model import Model


class Decoded:
    """A data set that decodes a video on every access."""

    def __init__(self, paths: list[str], frames: int, size: int) -> None:
        self._paths, self._frames, self._size = paths, frames, size

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        decord = importlib.import_module("decord")
        reader = decord.VideoReader(
            self._paths[number], ctx=decord.cpu(0), width=self._size, height=self._size, num_threads=1
        )
        indices = [(2 * part + 1) * len(reader) // (2 * self._frames) for part in range(self._frames)]
        clip = torch.from_numpy(reader.get_batch(indices).asnumpy()).permute(3, 0, 1, 2).float()
        return (clip / 255 - 0.45) / 0.225, torch.tensor([float(number % 2)])


def lightning_epochs(entry: Model, paths: list[str], epochs: int) -> list[float]:
    """Return the CPU seconds of each epoch by Lightning, decoding in the process that trains."""
    lightning = importlib.import_module("lightning")
    ends: list[float] = []

    class Module(lightning.LightningModule):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = build(entry)

        def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
            clips, targets = batch
            return nn.functional.binary_cross_entropy_with_logits(self.network(clips), targets)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

        def on_train_epoch_start(self) -> None:
            ends.append(time.process_time())

        def on_train_end(self) -> None:
            ends.append(time.process_time())

    loader = torch.utils.data.DataLoader(
        Decoded(paths, entry.settings["frames"], entry.settings["size"]),  # type: ignore[arg-type]
        batch_size=entry.settings["batch_size"],
        shuffle=True,
    )
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(Module(), loader)
    return [float(step) for step in np.diff(ends)]


def against_lightning(entry: Model, paths: list[str], folder: Path, rounds: int) -> dict[str, Any]:
    """Return CPU seconds per epoch of both, the trainer's on random clips: content does not affect its time."""
    videos = len(paths)
    data = store_clips(folder, videos, entry.settings["frames"], entry.settings["size"])
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    splits = write_fold(folder / "splits.parquet", labels, {"train": names, "val": names[:2], "test": names[:2]})
    ours, theirs = [], []
    for _ in range(rounds):
        short = cpu_seconds(lambda: run_fit(entry, data, splits, folder / "fit", epochs=1))
        ours.append((cpu_seconds(lambda: run_fit(entry, data, splits, folder / "fit", epochs=3)) - short) / 2)
        theirs += lightning_epochs(entry, paths, 2)
    medians = {"engine": statistics.median(ours), "lightning with decord": statistics.median(theirs)}
    return {
        "clips": videos,
        "cpu_s_per_epoch": {name: round(value, 2) for name, value in medians.items()},
        "ratio": round(medians["lightning with decord"] / medians["engine"], 2),
    }
