"""Parts of `gpu.py` beside single steps: the machine, memory, kills, sharing, embedding, explanations, tests."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from gpu_steps import FAST, NETWORKS, SMALL, Engine, Note, cuda, measured
from safetensors.torch import load_file
from stored import LABELS, model, output_files, run_fit, store_clips, write_fold

from clipfold.explain.attribution import attribute
from clipfold.models.accelerator import why_no_gpu
from clipfold.models.embed import embed_shards
from clipfold.resources.gpus import visible_gpus

ROOT = Path(__file__).parents[1]


def environment(name: str, dry: bool, note: Note) -> None:
    """Describe the machine, and what CUDA makes of names of devices."""
    facts: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda, "cores": os.cpu_count()}
    facts |= {"devices": [path.name for path in sorted(Path("/dev").glob("nvidia*"))]}
    facts |= {"visible": [gpu.name for gpu in visible_gpus()], "why_no_gpu": why_no_gpu()}
    names = ["0", "3", "-1"]
    if cuda():
        facts |= {"gpu": torch.cuda.get_device_name(), "cudnn": torch.backends.cudnn.version()}
        facts |= {"memory_gb": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)}
        names.append(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
        try:
            facts["busy"] = torch.cuda.utilization()
        except Exception as error:
            facts["busy"] = repr(error)
    note("machine", facts)
    for name in () if dry else names:
        code = "import torch; print(torch.cuda.is_available())"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=os.environ | {"CUDA_VISIBLE_DEVICES": name}, capture_output=True, text=True)
        note(f"CUDA_VISIBLE_DEVICES={name}", {"usable": done.stdout.strip()})


def memory(name: str, dry: bool, note: Note) -> None:
    """Take memory away from steps: they are repeated in halves, or end with the text of the error."""
    network = "naive_cnn 16x64" if dry else "slowfast r50 32x224"
    entry, changes = NETWORKS[network] | (SMALL if dry else {}), FAST | {"precision": "bf16", "dropout": 0.0}
    if not cuda():
        note("with half of the memory", _six_steps(entry | {"batch_size": 4}, changes, room=2))
        return
    total, peaks = torch.cuda.get_device_properties(0).total_memory, []
    for micro in (8, 4):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        note(f"micro-batches of {micro}", _six_steps(entry, changes, micro=micro))
        peaks.append(torch.cuda.max_memory_reserved())
    weights = 5 * 4 * 34.6e6  # bytes: weights, gradients, two moments, and as much again to work with
    for label, limit in (("half of the memory", sum(peaks) / 2), ("hardly more than the weights", weights)):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(limit / total)
        note(f"with {label}", {"limit_gb": round(limit / 2**30, 2)} | _six_steps(entry, changes))
        torch.cuda.set_per_process_memory_fraction(1.0)


def _six_steps(entry: dict[str, Any], changes: dict[str, Any], micro: int = 0, room: int = 0) -> dict[str, Any]:
    """Make six steps; without a GPU, pretend that there is room for some clips only."""
    step = None
    try:
        engine = Engine(entry, changes)
        step = engine.train_step
        step.micro = micro or step.micro

        def check(network: Any, inputs: Any) -> None:
            if room and len(inputs[0]) > room:
                raise torch.OutOfMemoryError("pretended")

        engine.network.register_forward_pre_hook(check)
        for _ in range(6):
            engine()
        norm = float(torch.stack([p.detach().float().norm() for p in engine.network.parameters()]).norm())
        ended: dict[str, Any] = {"norm of weights": round(norm, 4)}
    except Exception as error:
        ended = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
    facts = {"retried": step.retried, "halved": step.halved, "last lack": step._lack[:200]} if step else {}
    return facts | ended


STRICT = {"precision": "fp32"}
LOOSE = {"precision": "bf16", "ema": 0.9, "flip": 0.5}


def _fits(folder: Path, dry: bool) -> None:
    """Fit two models, resuming where an earlier process was killed."""
    often = {"epochs": 1 if dry else 6, "patience": 99, "checkpoint_epochs": 1, "checkpoint_minutes": 0.0005}
    size, videos = (32, 6) if dry else (64, 64)
    names = [f"{number:05}" for number in range(videos)]
    data_folder = folder.parent / "data"
    if not data_folder.exists():
        store_clips(data_folder, videos, 4, size)
    data = {kind: [str(data_folder / file)] for kind, file in FILES.items()}
    labels = {name: LABELS[int(name) % 2] for name in names}
    splits = write_fold(data_folder / "splits.parquet", labels, {"train": names, "val": names[:4], "test": names[:4]})
    for name, changes in (("naive_cnn", STRICT), ("vit_gru", LOOSE)):
        entry = model(architecture=name, frames=4, size=size)
        if not Path(output_files(folder / name)["record"]).exists():
            run_fit(entry, data, splits, folder / name, **often | changes)


FILES = {
    "clips": "frames.npy",
    "augmented": "augmented.npy",
    "index": "index.parquet",
    "augmented_index": "copies.parquet",
}


def kills(name: str, dry: bool, note: Note) -> None:
    """Kill fits at random, resume them, and compare with two that were left alone."""
    with tempfile.TemporaryDirectory() as root:
        for number in (1, 2):
            _fits(Path(root, f"alone-{number}"), dry)
        alone = _difference(Path(root, "alone-1"), Path(root, "alone-2"))
        note("left alone twice", alone)
        if dry:
            return
        done, context = 0, multiprocessing.get_context("spawn")
        while True:
            process = context.Process(target=_fits, args=(Path(root, "killed"), dry))
            process.start()
            end = time.monotonic() + 30
            while done < 2 and process.is_alive() and time.monotonic() < end:
                if list(Path(root, "killed").rglob("checkpoint.pt")):
                    time.sleep(random.uniform(0, 0.3))
                    process.kill()
                    done += 1
                    break
                time.sleep(0.01)
            process.join()
            if process.exitcode == 0:
                break
        note("killed", {"kills": done} | _difference(Path(root, "alone-1"), Path(root, "killed")))


def _difference(one: Path, other: Path) -> dict[str, float]:
    """Return the largest differences of weights and probabilities of both models."""
    facts = {}
    for name in ("naive_cnn", "vit_gru"):
        weights, predictions = ([], [])  # type: ignore[var-annotated]
        for folder in (one, other):
            files = output_files(folder / name)
            weights.append(load_file(files["model"]))
            predictions.append(pd.read_parquet(files["predictions"]).filter(like="p_").to_numpy())
        facts[f"{name} weights"] = max(
            float((v.double() - weights[1][k].double()).abs().max()) for k, v in weights[0].items()
        )
        facts[f"{name} probabilities"] = float(np.abs(predictions[0] - predictions[1]).max())
    return facts


def _worker(pipe: Any) -> None:
    engines = [Engine(NETWORKS[name], {}) for name in SHARED]
    for engine in engines:
        for _ in range(5):
            engine()
    pipe.send("ready")
    while (order := pipe.recv()) is not None:
        number, seconds = order
        torch.cuda.synchronize()
        done, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            engines[number]()
            done += 1
            if done % 20 == 0:
                torch.cuda.synchronize()
        torch.cuda.synchronize()
        pipe.send(done * engines[number].batch)


SHARED = ("naive_cnn 16x64", "x3d s 13x160")


def sharing(name: str, dry: bool, note: Note) -> None:
    """Train the same network in 1, 2 and 4 processes side by side on one GPU: clips per second in all."""
    if not cuda():
        note("sharing", {"left out": "there is no GPU to share"})
        return
    context, pipes, seconds = multiprocessing.get_context("spawn"), [], 3.0
    for _ in range(4):
        ours, theirs = context.Pipe()
        context.Process(target=_worker, args=(theirs,), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    for number, network in enumerate(SHARED):
        for processes in (1, 2, 4):
            for pipe in pipes[:processes]:
                pipe.send((number, seconds))
            clips = sum(pipe.recv() for pipe in pipes[:processes])
            note(f"{network}, {processes} processes", {"clips_per_s": round(clips / seconds, 1)})
    for pipe in pipes:
        pipe.send(None)


def embedding(name: str, dry: bool, note: Note) -> None:
    """Embed clips in batches of some sizes; explain a clip with and without cuDNN."""
    encoder, size, videos = ("vit_micro", 32, 2) if dry else ("vit_small", 64, 256)
    entry = model(architecture="vit_gru", encoder=encoder, size=size)
    with tempfile.TemporaryDirectory() as folder:
        data = store_clips(Path(folder), videos, 16, size)
        array, facts = Path(folder, "embedded.npy"), Path(folder, "facts.json")
        for batch in (4,) if dry else (4, 16, 64):
            for attempt in range(2):  # the first one loads kernels
                began = time.perf_counter()
                embed_shards({array: data["clips"]}, facts, entry.settings, 0, 2, str(attempt), batch)
                seconds = time.perf_counter() - began
            note(f"embed {batch} at once", {"clips_per_s": round(videos / seconds, 1)})
    shown = NETWORKS["naive_cnn 16x64"] | SMALL if dry else NETWORKS["slowfast r50 32x224"]
    engine = Engine(shown, {})
    network = engine.network.eval().requires_grad_(False)
    batch = next(engine.batches())
    points = 2 if dry else 8
    for cudnn in (False, True):
        with torch.backends.cudnn.flags(enabled=cudnn):
            facts = measured(lambda: lambda: attribute(network, batch.clips[0], batch.boxes[0], 0, points, 2), 1)
        note(f"explain, cuDNN {'on' if cudnn else 'off'}", facts)


def tests(name: str, dry: bool, note: Note) -> None:
    """Run the tests that need a GPU, as `make test-gpu` does."""
    if dry:
        note("tests", {"left out": "a dry run has no GPU"})
        return
    command = ["-m", "pytest", "-m", "gpu", "-q", "-rs", "-p", "no:cacheprovider", "--durations=10"]
    files = ["tests/unit/training/test_gpu.py", "tests/unit/explain/test_explain.py"]
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.getenv("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, *command, *files],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for number, line in enumerate(process.stdout):
        if line.strip():
            note(f"line {number}", {"said": line.rstrip()[:200]})
