"""Parts of `gpu.py` that time steps: of the engine, of a bare loop, and compiled ones."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stored import build, model, store_clips
from torch import nn
from torch.autograd import DeviceType

from clipfold.clips.reader import Clips
from clipfold.models.accelerator import choose_device, forbid_randomness
from clipfold.models.device import Precision, place
from clipfold.models.inputs import as_input
from clipfold.training import transforms
from clipfold.training.batches import Batch, BatchSource
from clipfold.training.distributed import Processes
from clipfold.training.losses import Loss
from clipfold.training.optimisation import make_optimizer, set_rate
from clipfold.training.train_step import TrainStep

Note = Callable[[str, dict[str, Any]], None]
Step = Callable[[], None]

NETWORKS = {  # at the sizes of their papers, with the catalogue's batch of 8
    "x3d s 13x160": {"architecture": "x3d", "variant": "s", "frames": 13, "size": 160},
    "slowfast small 16x112": {"architecture": "slowfast"},
    "slowfast r50 32x224": {"architecture": "slowfast", "variant": "r50_8x8", "frames": 32, "size": 224},
    "vit_gru vit_small 16x224": {"architecture": "vit_gru", "encoder": "vit_small", "frames": 16, "size": 224},
    "vit_gru vit_small 16x64": {"architecture": "vit_gru", "encoder": "vit_small"},
    "naive_cnn 16x64": {"architecture": "naive_cnn"},
}
FAST = {"deterministic": False}
VARIANTS = {  # of the engine; the first is what a user gets
    "default": {},
    "benchmark": FAST,
    "graph": FAST | {"graph": True},
    "bf16": FAST | {"precision": "bf16"},
    "bf16 graph": FAST | {"precision": "bf16", "graph": True},
    "bf16 flip crop": FAST | {"precision": "bf16", "flip": 0.5, "crop": 0.8},
    "bf16 usual layout": FAST | {"precision": "bf16", "channels_last": False},
}
SMALL = {"frames": 2, "size": 16, "batch_size": 2}  # of a dry run


def cuda() -> bool:
    return torch.cuda.is_available()


def synchronised() -> float:
    """Return the time when the device has done its work."""
    if cuda():
        torch.cuda.synchronize()
    return time.perf_counter()


class Engine:
    """Steps of the trainer, with clips where it puts them.

    Args:
        entry: The model.
        changes: Settings to change.
    """

    def __init__(self, entry: dict[str, Any], changes: dict[str, Any]) -> None:
        made = model(**entry)
        self.settings = made.settings | changes
        self.device = choose_device(self.settings, threads=2)
        self.batch: int = self.settings["batch_size"]
        frames, size, videos = self.settings["frames"], self.settings["size"], 4 * self.batch
        self._folder = tempfile.TemporaryDirectory()
        data = store_clips(Path(self._folder.name), videos, frames, size)
        names = [f"{number:05}" for number in range(videos)]
        clips = Clips(data, frames, size, size)
        self.source = BatchSource(clips, names, np.arange(videos) % 2, self.device, 2, augmented=False)
        torch.manual_seed(0)
        self.network = build(made)
        place(self.network, self.settings, self.device)
        forbid_randomness(self.device)
        self.network.train()
        self.optimizer = make_optimizer(self.network, self.settings, self.device)
        loss = Loss(self.settings, self.source.targets, 2, self.device)
        precision = Precision(self.settings["precision"], self.device)
        self.train_step = TrainStep(
            self.network, self.optimizer, loss, precision, self.settings, Processes(), self.device, self.batch
        )
        self._feed, self._done = self._forever(), 0

    def batches(self) -> Iterator[Batch]:
        """Yield each batch of an epoch."""
        starts = range(0, 4 * self.batch, self.batch)
        plan = [(np.arange(i, i + self.batch), np.zeros(self.batch, np.int64)) for i in starts]
        return self.source.batches(plan * 16)

    def _forever(self) -> Iterator[tuple[Batch, transforms.Drawn | None]]:
        while True:
            drawn: Iterator[Any] = iter([None] * 64)
            if transforms.wanted(self.settings):
                drawn = transforms.draw_ahead(self.settings, [self.batch] * 64, range(64), self.device)
            yield from zip(self.batches(), drawn, strict=True)

    def __call__(self) -> None:
        """Make one step."""
        set_rate(self.optimizer, 0.1)
        batch, drawn = next(self._feed)
        self.train_step(batch, self.batch, self._done, self._done, drawn)
        self._done += 1


def bare(entry: dict[str, Any], precision: str, usual_layout: bool, graph: bool = False) -> Step:
    """Return the least that a step is: floats that lie on the device, no clipping; as one CUDA graph if wanted."""
    engine = Engine(entry, FAST | {"channels_last": not usual_layout})
    network, optimizer = engine.network, engine.optimizer
    inputs = [
        as_input(network, batch.clips) for batch, _ in zip(engine.batches(), range(1 if graph else 4), strict=False)
    ]
    targets = torch.zeros(len(inputs[0]), 1, device=engine.device)
    cast, done = Precision(precision, engine.device), 0
    if graph:
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True, capturable=True)

    def step() -> None:
        nonlocal done
        optimizer.zero_grad(set_to_none=True)
        with cast.autocast():
            logits = network(inputs[done % len(inputs)])
        nn.functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        done += 1

    return captured(step) if graph else step


def captured(step: Step) -> Step:
    """Capture a step as a CUDA graph; its replay takes what the device takes when the host never hinders it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def seconds_of(step: Step, steps: int, rounds: int = 3, warm: int = 5) -> float:
    """Return the median seconds of a step, host and device together."""
    for _ in range(warm):
        step()
    times = []
    for _ in range(rounds):
        began = synchronised()
        for _ in range(steps):
            step()
        times.append((synchronised() - began) / steps)
    return statistics.median(times)


def kernels_of(step: Step, steps: int = 3) -> tuple[float, int]:
    """Return the seconds that the device computes, and the launches, of a step."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as found:
        for _ in range(steps):
            step()
        synchronised()
    spans = sorted((e.time_range.start, e.time_range.end) for e in found.events() if e.device_type == DeviceType.CUDA)
    busy = end = 0.0
    for start, stop in spans:  # the union: kernels of several streams may overlap
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy / 1e6 / steps, len(spans) // steps


def waits_of(step: Step) -> int:
    """Count how often a step has the host wait for the device."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in said)


def measured(make: Callable[[], Step], steps: int) -> dict[str, Any]:
    """Time a step and look at its kernels, waits and memory; an error is a result, too."""
    try:
        if cuda():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        step = make()
        seconds = seconds_of(step, steps, *((3, 5) if cuda() else (1, 0)))
        facts: dict[str, Any] = {"ms": round(1e3 * seconds, 2)}
        if cuda():
            busy, launches = kernels_of(step)
            facts |= {"busy": round(busy / seconds, 3), "kernel_ms": round(1e3 * busy, 2), "launches": launches}
            facts |= {"waits": waits_of(step), "peak_gb": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
        return facts | {"in_all_s": round(time.perf_counter() - began, 1)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:160]}"}


def steps(name: str, dry: bool, note: Note) -> None:
    """Time a network: bare loops, CUDA graphs, the engine."""
    entry, number = NETWORKS[name] | (SMALL if dry else {}), 1 if dry else 15
    precisions = ("fp32",) if dry else ("fp32", "bf16")
    for precision in precisions:
        for layout in ("", " usual layout"):
            label = f"bare {precision}{layout}"
            note(label, measured(lambda p=precision, u=bool(layout): bare(entry, p, u), number))  # type: ignore[misc]
        if cuda():
            note(f"graph {precision}", measured(lambda p=precision: bare(entry, p, False, graph=True), number))  # type: ignore[misc]
    own = {"two layers": {"layers": 2}} if "encoder" in entry else {}  # does a new seed per step cost cuDNN much?
    for label, changes in (VARIANTS | own).items():
        note(f"engine {label}", measured(lambda c=changes: Engine(entry, c), number))  # type: ignore[misc]


def compiled(name: str, dry: bool, note: Note) -> None:
    """Time compiled steps; compare gradients of two passes under CUDA graphs with those of one."""
    if dry:
        note("compile", {"left out": "a dry run has no compiler"})
        return
    for network in ("x3d s 13x160", "vit_gru vit_small 16x64"):
        changes = FAST | {"precision": "bf16", "compile": "default"}
        facts = measured(lambda n=network, c=changes: Engine(NETWORKS[n], c), 15)  # type: ignore[misc]
        counters = torch._dynamo.utils.counters
        breaks = sum(counters["graph_break"].values())
        note(network, facts | {"graphs": counters["stats"]["unique_graphs"], "breaks": breaks})
        torch._dynamo.reset()
        counters.clear()
    note("two passes under CUDA graphs", _gradients_under_graphs())


def _gradients_under_graphs() -> dict[str, Any]:
    engine = Engine(NETWORKS["naive_cnn 16x64"], FAST | {"tf32": False, "dropout": 0.0})
    parts = as_input(engine.network, next(engine.batches()).clips).split(4)
    engine.network.eval()  # no statistics that depend on the passes before
    found = []
    try:
        for mode in (None, "reduce-overhead"):
            if mode:
                engine.network.compile(mode=mode)
            for _ in range(4):
                engine.network.zero_grad(set_to_none=True)
                for part in parts:
                    engine.network(part).sum().backward()
            found.append(torch.cat([p.grad.flatten().clone() for p in engine.network.parameters()]))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:160]}"}
    return {"relative error of gradients": float((found[1] - found[0]).norm() / found[0].norm())}
