"""Compare the trainer with a bare loop and with Lightning decoding each epoch; stored with new embeddings.

    python benchmarks/training.py --videos 'clips/*.mp4' --json training.json

- engine: steps of the trainer and of bare forward/backward/step loops on preloaded float tensors take turns, each in
  its own process on one thread, with the same network and optimizer, without gradient clipping. The bare loops use the
  trainer's memory layout; PyTorch's default layout; and the trainer's layout with freed memory kept, as its jobs do.
  Medians of CPU time and of wall time. On a GPU, whole epochs take turns.
- lightning: an epoch of the trainer on decoded clips, against an epoch of the same network by Lightning with a data set
  that decodes with decord; needs the peers of requirements.txt, and --videos.
- frozen: a fit on stored embeddings, against a fit of the whole network with its encoder frozen.
"""

from __future__ import annotations

import argparse
import glob
import importlib
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from stored import LABELS, build, model, output_files, run_fit, store_clips, write_fold
from torch import Tensor, nn

from clipfold.clips.reader import Clips
from clipfold.models.accelerator import choose_device
from clipfold.models.catalog import Model
from clipfold.models.device import place
from clipfold.models.embed import embed_shard
from clipfold.models.inputs import as_input
from clipfold.storage.job import keep_freed_memory
from clipfold.training.batches import Batch, BatchSource
from clipfold.training.checkpoint import Checkpoint
from clipfold.training.distributed import Processes
from clipfold.training.optimisation import make_optimizer
from clipfold.training.plan import TrainingPlan
from clipfold.training.recorder import Recorder
from clipfold.training.signals import StopRequest
from clipfold.training.trainer import Trainer

ON_CPU = {
    "naive_cnn": {"architecture": "naive_cnn", "frames": 16, "size": 64},
    "x3d xs": {"architecture": "x3d", "variant": "xs", "frames": 4, "size": 160, "batch_size": 2},
    "vit_gru tiny": {"architecture": "vit_gru", "encoder": "vit_tiny", "frames": 16, "size": 64},
}
ON_CUDA = {
    "x3d s": {"architecture": "x3d", "variant": "s", "frames": 13, "size": 160},
    "slowfast r50": {"architecture": "slowfast", "variant": "r50_8x8", "frames": 32, "size": 224},
}


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


def precisions(entry: Model, folder: Path) -> dict[str, Any]:
    """Return clips per second of whole fits on a GPU: bf16 and compiled, relative to plain fp32."""
    settings = entry.settings
    videos = 16 * settings["batch_size"]
    data = store_clips(folder, videos, settings["frames"], settings["size"])
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    splits = write_fold(folder / "splits.parquet", labels, {"train": names, "val": names[:2], "test": names[:2]})
    plain = {"precision": "fp32", "tf32": False, "channels_last": False, "compile": "none"}
    fast = {"precision": "bf16", "tf32": True, "channels_last": True, "compile": "max-autotune", "deterministic": False}
    speeds: dict[str, list[float]] = {"plain": [], "fast": []}
    for _ in range(3):
        for name, changes in (("plain", plain), ("fast", fast)):
            run_fit(entry, data, splits, folder / name, epochs=4, patience=4, **changes)
            seconds = pd.read_csv(folder / name / "history.csv").seconds
            speeds[name].append(3 * videos / (seconds.iloc[-1] - seconds.iloc[0]))  # the first one compiles
    medians = {name: round(statistics.median(values), 1) for name, values in speeds.items()}
    return {"clips_per_s": medians, "ratio": round(medians["fast"] / medians["plain"], 3)}


# --- Lightning that decodes each epoch --------------------------------------------------------------------------------


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


# --- Embeddings -------------------------------------------------------------------------------------------------------


def frozen(entry: Model, folder: Path, videos: int, epochs: int, rounds: int) -> dict[str, Any]:
    """Return CPU seconds of fits of the whole network with its encoder frozen, and of fits on stored embeddings."""
    settings = entry.settings | {"freeze": True}
    data = store_clips(folder, videos, settings["frames"], settings["size"], copies=1)
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    parts = {"train": names[: videos // 2], "val": names[videos // 2 : -videos // 4], "test": names[-videos // 4 :]}
    splits = write_fold(folder / "splits.parquet", labels, parts)
    embedded = data | {kind: [str(folder / f"{kind}-embedded.npy")] for kind in ("clips", "augmented")}
    once = cpu_seconds(
        lambda: [
            embed_shard(data[kind][0], embedded[kind][0], folder / "facts.json", settings, 0, 1)
            for kind in ("clips", "augmented")
        ]
    )
    changes = {"freeze": True, "epochs": epochs, "patience": epochs}
    whole, stored = [], []
    for _ in range(rounds):
        whole.append(cpu_seconds(lambda: run_fit(entry, data, splits, folder / "whole", **changes)))
        stored.append(cpu_seconds(lambda: run_fit(entry, embedded, splits, folder / "stored", **changes)))
    medians = {"whole": statistics.median(whole), "stored": statistics.median(stored)}
    record = json.loads(Path(output_files(folder / "stored")["record"]).read_text())
    return {
        "clips": videos,
        "epochs": epochs,
        "parameters_trained": record["parameters"],
        "cpu_s_of_embedding_once": round(once, 2),
        "cpu_s_per_fit": {name: round(value, 2) for name, value in medians.items()},
        "ratio": round(medians["whole"] / medians["stored"], 1),
    }


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["engine", "frozen", "lightning"], help="which of them")
    parser.add_argument("--videos", help="pattern of the files that Lightning decodes")
    parser.add_argument("--only", nargs="+", default=[*ON_CPU, *ON_CUDA], help="which networks against a bare loop")
    parser.add_argument("--steps", type=int, default=40, help="of each side of the comparison with a bare loop")
    parser.add_argument("--rounds", type=int, default=3, help="of the other comparisons")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    cuda = torch.cuda.is_available()
    result: dict[str, Any] = {"device": torch.cuda.get_device_name() if cuda else "cpu"}

    def note(name: str, facts: dict[str, Any]) -> None:
        result[name] = facts
        print(f"{name}: {json.dumps(facts)}", flush=True)
        if args.json:
            args.json.write_text(json.dumps(result, indent=2) + "\n")

    with tempfile.TemporaryDirectory() as root:
        if "engine" in args.parts:
            known = ON_CPU | ON_CUDA if cuda else ON_CPU
            for number, (name, entry) in enumerate((name, known[name]) for name in args.only if name in known):
                note(name, against_bare(model(**entry), Path(root, f"bare-{number}"), args.steps))
                if name in ON_CUDA:
                    folder = Path(root, f"precision-{number}")
                    note(f"{name}, bf16 and compiled", precisions(model(**entry), folder))
        if "frozen" in args.parts:
            entry = model(architecture="vit_gru", encoder="vit_tiny", frames=16, size=64)
            note("frozen vit_gru tiny", frozen(entry, Path(root, "frozen"), 48, 3, args.rounds))
        if "lightning" in args.parts and args.videos:
            paths = sorted(glob.glob(args.videos, recursive=True))
            if not paths:
                parser.error(f"--videos {args.videos}: no such files; quote the pattern")
            entry = model(architecture="naive_cnn", frames=16, size=112)
            note("naive_cnn, lightning", against_lightning(entry, paths, Path(root, "lightning"), args.rounds))


if __name__ == "__main__":
    main()
