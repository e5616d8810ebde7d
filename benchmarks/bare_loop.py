"""Let the trainer and bare forward/backward/step loops on preloaded tensors take turns, and time both."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stored import build, store_clips
from torch import nn

from clipfold.clips.reader import Clips
from clipfold.models.accelerator import choose_device
from clipfold.models.device import place
from clipfold.models.inputs import as_input
from clipfold.models.model import Model
from clipfold.storage.job import keep_freed_memory
from clipfold.training.batches import Batch, BatchSource
from clipfold.training.checkpoint import Checkpoint
from clipfold.training.distributed import Processes
from clipfold.training.optimisation import make_optimizer
from clipfold.training.plan import TrainingPlan
from clipfold.training.recorder import Recorder
from clipfold.training.signals import StopRequest
from clipfold.training.trainer import Trainer


class Bare:
    """A minimal training loop, in its own process.

    Args:
        entry: The model.
        data: Files of the stored clips.
        videos: Number of stored clips; they are taken in order.
        usual_layout: Use PyTorch's default memory layout instead of the trainer's.
        keeps: Keep freed memory.
    """

    def __init__(self, entry: Model, data: dict[str, list[str]], videos: int, usual_layout: bool, keeps: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, entry, data, videos, usual_layout, keeps)
        context.Process(target=_bare_loop, args=arguments, daemon=True).start()
        self._pipe.recv()

    def end(self) -> None:
        """End the process."""
        self._pipe.send(0)

    def __call__(self, steps: int) -> tuple[float, float]:
        """Make steps; return the wall and CPU seconds of one."""
        self._pipe.send(steps)
        wall, cpu = self._pipe.recv()
        return wall / steps, cpu / steps


def _bare_loop(
    pipe: Any, entry: Model, data: dict[str, list[str]], videos: int, usual_layout: bool, keeps: bool
) -> None:
    if keeps:
        keep_freed_memory()
    settings = entry.settings | {"deterministic": False}
    device = choose_device(settings, threads=1)
    torch.manual_seed(0)
    network = build(entry)
    if usual_layout:
        network.to(device)
    else:
        place(network, settings, device)
    source = _source(entry, data, videos, device)
    batches = [
        (as_input(network, b.clips), b.targets[:, None].float()) for b in source.batches(_in_order(entry, videos))
    ]
    if usual_layout:
        batches = [(clips.contiguous(), targets) for clips, targets in batches]
    network.train()
    optimizer = make_optimizer(network, settings, device)
    done = 0
    pipe.send("ready")
    while steps := pipe.recv():
        began = _now(device)
        for _ in range(steps):
            clips, targets = batches[done % len(batches)]
            done += 1
            optimizer.zero_grad(set_to_none=True)
            nn.functional.binary_cross_entropy_with_logits(network(clips), targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        pipe.send(np.subtract(_now(device), began).tolist())


def _now(device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def _in_order(entry: Model, videos: int) -> list[Any]:
    batch = entry.settings["batch_size"]
    return [(np.arange(i, i + batch), np.zeros(batch, np.int64)) for i in range(0, videos, batch)]


def _source(entry: Model, data: dict[str, list[str]], videos: int, device: torch.device) -> BatchSource:
    settings = entry.settings
    clips = Clips(data, settings["frames"], settings["size"], settings["size"])
    names = [f"{number:05}" for number in range(videos)]
    return BatchSource(clips, names, np.arange(videos) % 2, device, 2, augmented=True)


class SideBySide(Recorder):
    """A recorder that lets each bare loop make as many steps as each block of the trainer, and times both."""

    def watch(self, block: int, bares: dict[str, Bare]) -> None:
        """Set the loops to run and the steps of a block."""
        self.block, self.bares = block, bares
        self.wall: dict[str, list[float]] = {name: [] for name in ("engine", *bares)}
        self.cpu: dict[str, list[float]] = {name: [] for name in ("engine", *bares)}
        self.busy: list[int] = []

    def timed(self, batches: Iterator[Batch], steps: int, done: int) -> Iterator[Batch]:
        """Pass batches on, and run the bare loops after each block."""
        passed, left = super().timed(batches, steps, done), True
        while left:
            began = _now(self._device)
            for _ in range(self.block):
                batch = next(passed, None)
                if batch is None:
                    left = False
                    break
                yield batch
            else:
                if self._device.type == "cuda":
                    self.busy.append(torch.cuda.utilization())
                self._note("engine", *(np.subtract(_now(self._device), began) / self.block))
                for name, bare in self.bares.items():
                    self._note(name, *bare(self.block))

    def _note(self, name: str, wall: float, cpu: float) -> None:
        self.wall[name].append(wall)
        self.cpu[name].append(cpu)


def against_bare(entry: Model, folder: Path, steps: int) -> dict[str, Any]:
    """Train with the trainer and bare loops by turns; return seconds per step and their ratios."""
    settings = entry.settings | {"checkpoint_epochs": 0, "checkpoint_minutes": 0.0, "clip_norm": 0.0}
    batch = settings["batch_size"]
    videos = 4 * batch
    data = store_clips(folder, videos, settings["frames"], settings["size"], copies=1)
    bares = {
        "bare": Bare(entry, data, videos, usual_layout=False, keeps=False),
        "bare, usual layout": Bare(entry, data, videos, usual_layout=True, keeps=False),
        "bare, memory kept": Bare(entry, data, videos, usual_layout=False, keeps=True),
    }
    keep_freed_memory()
    device = choose_device(settings, threads=1)
    train, val = _source(entry, data, videos, device), _source(entry, data, 2, device)
    torch.manual_seed(0)
    network = build(entry)
    place(network, settings, device)
    recorder = SideBySide(settings, folder / "history.csv", folder, val, device, first=True)
    recorder.watch(1 if device.type == "cpu" else videos // batch, bares)
    epochs = -(-steps // (videos // batch))
    settings |= {"epochs": epochs, "patience": epochs}
    plan = TrainingPlan(
        network=network,
        settings=settings,
        train=train,
        val=val,
        classes=2,
        seed=0,
        micro=batch,
        recorder=recorder,
        checkpoint=Checkpoint(folder / "checkpoint.pt", ""),
        stop=StopRequest(),
        processes=Processes(),
    )
    Trainer(plan).run()
    for bare in bares.values():
        bare.end()
    return compared(recorder)


def compared(recorder: SideBySide) -> dict[str, Any]:
    """Return median seconds per step without warm-up, and the trainer's steps per second relative to the others'."""
    result: dict[str, Any] = {}
    for kind, times in (("cpu", recorder.cpu), ("wall", recorder.wall)):
        medians = {name: statistics.median(values[3:]) for name, values in times.items()}
        result[f"{kind}_s_per_step"] = {name: round(value, 4) for name, value in medians.items()}
        result[f"{kind}_ratio"] = {
            name: round(value / medians["engine"], 3) for name, value in medians.items() if name != "engine"
        }
    return result | ({"device_utilisation": statistics.mean(recorder.busy)} if recorder.busy else {})
