"""The training engine against a bare loop and against Lightning decoding each epoch; stored against new embeddings.

    python benchmarks/training.py --videos 'clips/*.mp4' --json training.json

- engine: after each step of the engine one of a bare forward/backward/step loop on preloaded float tensors, with a copy
  of the network and the same optimizer, once in the memory layout that the engine chooses and once in PyTorch's usual
  one. Medians of CPU time, and of wall time, on one thread. On a graphics processor whole epochs take turns.
- lightning: an epoch of the engine on decoded clips, against one of the same network by Lightning whose data set
  decodes them with decord; needs the peers of requirements.txt, and --videos.
- frozen: a fit on embeddings that are there, against one of the whole network with its encoder frozen.
"""

from __future__ import annotations

import argparse
import copy
import glob
import importlib
import json
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

from clipfold.embed import embed_shard
from clipfold.models.catalog import Model
from clipfold.training.clips import Clips
from clipfold.training.device import choose_device, place
from clipfold.training.fold import read_fold
from clipfold.training.inputs import as_input
from clipfold.training.loop import Loop
from clipfold.training.optimisation import make_optimizer
from clipfold.training.processes import Processes
from clipfold.training.recorder import Recorder
from clipfold.training.signals import StopRequest
from clipfold.training.source import Batch, Source

BATCH = 8
ON_CPU = {
    "naive_cnn": {"architecture": "naive_cnn", "frames": 16, "size": 64},
    "x3d xs": {"architecture": "x3d", "variant": "xs", "frames": 4, "size": 160},
    "vit_gru tiny": {"architecture": "vit_gru", "encoder": "vit_tiny", "frames": 16, "size": 64},
}
ON_CUDA = {
    "x3d s": {"architecture": "x3d", "variant": "s", "frames": 13, "size": 160},
    "slowfast r50": {"architecture": "slowfast", "variant": "r50_8x8", "frames": 32, "size": 224},
}


class Bare:
    """The least that training is.

    Args:
        network: in training mode, on its device.
        entry: for the optimizer's settings.
        batches: clips, float, and targets, float (batch, 1), on the device.
    """

    def __init__(self, network: Any, entry: Model, batches: list[tuple[Tensor, Tensor]]) -> None:
        self._network, self._batches = network.train(), batches
        self._optimizer = make_optimizer(network, entry.settings, batches[0][0].device)
        self._done = 0

    def __call__(self) -> None:
        """Makes one step."""
        clips, targets = self._batches[self._done % len(self._batches)]
        self._done += 1
        self._optimizer.zero_grad(set_to_none=True)
        nn.functional.binary_cross_entropy_with_logits(self._network(clips), targets).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


class SideBySide(Recorder):
    """After each block of the engine's steps makes as many of each bare loop; notes the seconds of a step of each."""

    def watch(self, block: int, bares: dict[str, Bare]) -> None:
        """Begins with it."""
        self.block, self.bares = block, bares
        self.wall: dict[str, list[float]] = {name: [] for name in ("engine", *bares)}
        self.cpu: dict[str, list[float]] = {name: [] for name in ("engine", *bares)}
        self.busy: list[int] = []

    def timed(self, batches: Iterator[Batch], steps: int, done: int) -> Iterator[Batch]:
        """Passes batches on."""
        passed, left = super().timed(batches, steps, done), True
        while left:
            began = self._now()
            for _ in range(self.block):
                batch = next(passed, None)
                if batch is None:
                    left = False
                    break
                yield batch
            else:
                if self._device.type == "cuda":
                    self.busy.append(torch.cuda.utilization())
                self._note("engine", began)
                torch.use_deterministic_algorithms(False)
                for name, bare in self.bares.items():
                    began = self._now()
                    for _ in range(self.block):
                        bare()
                    self._note(name, began)
                torch.use_deterministic_algorithms(self.deterministic, warn_only=True)

    deterministic = True

    def _now(self) -> tuple[float, float]:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def _note(self, name: str, began: tuple[float, float]) -> None:
        wall, cpu = self._now()
        self.wall[name].append((wall - began[0]) / self.block)
        self.cpu[name].append((cpu - began[1]) / self.block)


def against_bare(entry: Model, folder: Path, steps: int) -> dict[str, Any]:
    """Trains with the engine and bare loops side by side; returns seconds per step and their ratios."""
    settings = entry.settings | {"checkpoint_epochs": 0, "checkpoint_minutes": 0.0}
    videos = 4 * BATCH
    data = store_clips(folder, videos, settings["frames"], settings["size"], copies=1)
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    fold = read_fold(write_fold(folder / "splits.parquet", labels, {"train": names, "val": names[:2]}), 0)
    device = choose_device(settings, threads=1)
    clips = Clips(data, settings["frames"], settings["size"], settings["size"])
    train, val = (
        Source(clips, fold.ids(role), fold.targets(role), device, 2, copies=role == "train")
        for role in ("train", "val")
    )
    torch.manual_seed(0)
    network = build(entry)
    usual = copy.deepcopy(network).to(device)
    place(network, settings, device)
    order = [(np.arange(i, i + BATCH), np.zeros(BATCH, np.int64)) for i in range(0, videos, BATCH)]
    loaded = [(as_input(network, b.clips), b.targets[:, None].float()) for b in train.batches(order)]
    contiguous = [(inputs.contiguous(), targets) for inputs, targets in loaded]
    recorder = SideBySide(settings, folder / "history.csv", folder, val, device, first=True)
    recorder.deterministic = settings["deterministic"]
    bares = {"bare": Bare(copy.deepcopy(network), entry, loaded), "bare, usual layout": Bare(usual, entry, contiguous)}
    recorder.watch(1 if device.type == "cpu" else videos // BATCH, bares)
    epochs = -(-steps // (videos // BATCH))
    settings |= {"epochs": epochs, "patience": epochs}
    state = folder / "checkpoint.pt"
    Loop(network, settings, train, val, 2, 0, BATCH, recorder, state, "", StopRequest(), Processes()).run()
    return compared(recorder)


def compared(recorder: SideBySide) -> dict[str, Any]:
    """Returns medians of the seconds per step, warm-up aside, and the engine's steps per second over the others'."""
    result: dict[str, Any] = {}
    for kind, times in (("cpu", recorder.cpu), ("wall", recorder.wall)):
        medians = {name: statistics.median(values[3:]) for name, values in times.items()}
        result[f"{kind}_s_per_step"] = {name: round(value, 4) for name, value in medians.items()}
        result[f"{kind}_ratio"] = {
            name: round(value / medians["engine"], 3) for name, value in medians.items() if name != "engine"
        }
    return result | ({"device_utilisation": statistics.mean(recorder.busy)} if recorder.busy else {})


def precisions(entry: Model, folder: Path) -> dict[str, Any]:
    """Clips per second of whole fits on a graphics processor: bf16 and compiled, over plain fp32."""
    settings = entry.settings
    videos = 16 * BATCH
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
    """A data set that decodes a video each time it is asked for it."""

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
    """Returns the CPU seconds of each epoch by Lightning, decoding in the process that trains."""
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
    """Returns CPU seconds per epoch of both, the engine's on drawn clips: what they show takes no time."""
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
    """Returns CPU seconds of fits of the whole network with its encoder frozen, and of such on stored embeddings."""
    settings = entry.settings | {"freeze": True}
    data = store_clips(folder, videos, settings["frames"], settings["size"], copies=1)
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    parts = {"train": names[: videos // 2], "val": names[videos // 2 : -videos // 4], "test": names[-videos // 4 :]}
    splits = write_fold(folder / "splits.parquet", labels, parts)
    embedded = data | {kind: [str(folder / f"{kind}-embedded.npy")] for kind in ("clips", "copies")}
    once = cpu_seconds(
        lambda: [embed_shard(data[kind][0], embedded[kind][0], settings, 0, 1) for kind in ("clips", "copies")]
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
    """Returns the CPU seconds that something takes in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["engine", "frozen", "lightning"], help="which of them")
    parser.add_argument("--videos", help="pattern of the files that Lightning decodes")
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
            for number, (name, entry) in enumerate((ON_CPU | ON_CUDA if cuda else ON_CPU).items()):
                note(name, against_bare(model(batch_size=BATCH, **entry), Path(root, f"bare-{number}"), args.steps))
                if name in ON_CUDA:
                    folder = Path(root, f"precision-{number}")
                    note(f"{name}, bf16 and compiled", precisions(model(batch_size=BATCH, **entry), folder))
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
