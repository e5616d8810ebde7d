"""Train a network on clips, or its temporal part on embeddings of their frames."""

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from clipfold.clips.reader import Clips
from clipfold.models.accelerator import choose_device, forbid_randomness, why_no_gpu
from clipfold.models.device import place
from clipfold.models.inputs import as_input, forward
from clipfold.models.network import ClipNetwork
from clipfold.models.on_embeddings import OnEmbeddings
from clipfold.storage.files import Array
from clipfold.storage.fingerprint import fingerprint
from clipfold.storage.hashing import key_of
from clipfold.storage.job import keep_freed_memory
from clipfold.storage.replace import replacing
from clipfold.training.batches import BatchSource
from clipfold.training.checkpoint import Checkpoint
from clipfold.training.distributed import joined
from clipfold.training.final import epoch_factors
from clipfold.training.final_trainer import FinalTrainer
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record
from clipfold.training.launch import log_to_starter, start
from clipfold.training.memory import Peaks, activations, owners
from clipfold.training.micro_batch import choose_micro_batch
from clipfold.training.plan import TrainingPlan
from clipfold.training.recorder import Recorder
from clipfold.training.refit import train_twice
from clipfold.training.seeds import repeat
from clipfold.training.signals import listening
from clipfold.training.task import Task
from clipfold.training.trainer import Trainer, effective_batch

logger = logging.getLogger(__name__)

_MODULE = "clipfold.training.on_clips"


def fit(task: Task) -> None:
    """Train one model on one fold.

    The epoch with the lowest validation loss is kept; the test videos are predicted once, with that epoch, at the end.
    With the setting `refit`, they are predicted by a second training of as many epochs on train and validation.
    A fit that was killed resumes from its last checkpoint; on a CPU its results are the same bits as without the kill.

    Args:
        task: Its module's `build(settings, classes)` returns a `ClipNetwork`; its data are `clips`, `index`,
            `augmented`, `augmented_index`, at the model's size. If they hold embeddings instead of clips, the module's
            `temporal(settings, width, classes)` is trained.

    Raises:
        NotFiniteError: The loss is no longer finite.
        RuntimeError: A single clip does not fit into memory.
        SystemExit: A signal asked to stop; run again to resume.
    """

    def train(once: Task) -> None:
        start(once, _MODULE, fit_here)

    repeat(task, _MODULE, partial(train_twice, module=_MODULE, train=train) if task.settings["refit"] else train)


def fit_here(task: Task) -> None:
    """Train once in this process, which may be one of several, see `fit`."""
    fold = read_fold(task.splits, task.fold)
    if task.chosen_by:
        factors = epoch_factors([task.chosen_by["record"]], [task.chosen_by["history"]], task.settings)
        train_here(task, fold.for_refit(), _MODULE, partial(FinalTrainer, factors=factors), factors)
        return
    if task.settings.get("freeze") and not task.settings["weights"]:
        logger.warning(
            "freeze: true keeps the backbone at random weights: set weights, for example weights: pretrained"
        )
    train_here(task, fold.for_choosing() if task.settings["refit"] else fold, _MODULE, Trainer)


def train_here(
    task: Task, fold: Fold, module: str, make_trainer: Callable[[TrainingPlan], Trainer], chosen: Sequence[float] = ()
) -> None:
    """Train and write the outputs, in this process, which may be one of several.

    Args:
        task: The fit. Without `predictions` among its outputs, no video is predicted.
        fold: The videos to learn from, to choose the epoch by and to predict.
        module: Module of the caller: a checkpoint of other code is ignored.
        make_trainer: Makes the training loop.
        chosen: What the loop was given beside its plan: a checkpoint of other values is ignored.

    Raises:
        SystemExit: A signal asked to stop; the checkpoint is written.
    """
    started, seed = time.monotonic(), task.training_seed
    settings = task.settings
    files = [task.splits, *(path for paths in task.data.values() for path in paths)]
    code = fingerprint(module, task.module)  # other code may not understand the checkpoint
    facts = [task.module, settings, task.fold, chosen, seed, task.stored_size, code, torch.__version__]
    key = key_of(facts, files)
    with listening() as stop, joined() as processes:
        device = choose_device(settings, task.threads, processes.rank)
        peaks = Peaks(device)
        classes = len(fold.classes)
        clips = Clips(task.data, settings["frames"], task.stored_size, settings["size"], settings.get("clips", 1))
        source = partial(_source, clips, fold, device, settings["workers"])
        train, val = source("train"), source("val")
        peaks.note("reading")
        torch.manual_seed(seed)
        network = _build(task.module, settings, clips, classes)
        place(network, settings, device)
        forbid_randomness(device)
        micro = choose_micro_batch(network, settings, train, classes)
        peaks.note("building")
        shown = val if val.ids else train  # in TensorBoard
        recorder = Recorder(settings, task.outputs["history"], task.scratch, shown, device, first=processes.rank == 0)
        checkpoint = Checkpoint(Path(task.scratch, "checkpoint.pt"), key)
        plan = TrainingPlan(
            network=network,
            settings=settings,
            train=train,
            val=val,
            classes=classes,
            seed=seed,
            micro=micro,
            recorder=recorder,
            checkpoint=checkpoint,
            stop=stop,
            processes=processes,
        )
        trainer = make_trainer(plan)
        trainer.run()
        peaks.note("training")
        micro = trainer.train_step.micro
        one_view = None
        if "predictions" in task.outputs:
            parts = {split: val if split == "val" else source(split) for split in fold.predicted}
            views = settings["views_at_test"]
            probabilities = {split: trainer.predict(network, part, views) for split, part in parts.items()}
            one_view = trainer.predict(network, parts["test"]) if views > 1 and "test" in parts else None
            peaks.note("predicting")
        if processes.rank:
            return
        if "predictions" in task.outputs:
            write_predictions(task.outputs["predictions"], fold, probabilities)
        with replacing(task.outputs["model"]) as file:
            file.write(save({name: tensor.contiguous().cpu() for name, tensor in trainer.best.items()}))
        recorder.write(trainer.progress.history)
        graph = trainer.train_step.graph
        write_record(
            task,
            fold,
            "clips",
            **_seen(task, clips),
            parameters=sum(p.numel() for p in network.parameters()),
            trained_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
            **trainer.kept(),
            device="cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
            **({"why_cpu": _why_cpu(settings)} if device.type == "cpu" else {}),
            processes=processes.world,
            precision=trainer.precision.name,
            batch=effective_batch(settings, len(train.ids)),
            micro_batch=micro,
            out_of_memory={"repeated": trainer.train_step.retried, "halved": trainer.train_step.halved},
            rollbacks=trainer.progress.rollbacks,
            data_in=train.kind,
            speed=recorder.close(peaks.share("training")),
            determinism=_determinism(settings, trainer.train_step.random),
            **({"views_at_test": _effect(fold, one_view, probabilities["test"])} if one_view is not None else {}),
            **({"compiled": _compiled()} if settings["compile"] != "none" else {}),
            **({"graph": {"recorded": graph.recorded, "failed": graph.failed}} if graph is not None else {}),
            memory=peaks.stages | (_detail(trainer, train) if settings["memory_detail"] else {}),
            seconds=time.monotonic() - started,
        )
        checkpoint.remove()


def _source(clips: Clips, fold: Fold, device: torch.device, workers: int, split: str) -> BatchSource:
    return BatchSource(clips, fold.ids(split), fold.targets(split), device, workers, augmented=split == "train")


def _build(module: str, settings: Mapping[str, Any], clips: Clips, classes: int) -> ClipNetwork:
    architecture = importlib.import_module(module)
    if clips.dtype == np.uint8:
        network: ClipNetwork = architecture.build(settings, classes)
    else:
        network = OnEmbeddings(architecture.temporal(settings, clips.shape[-1], classes))
    return network


def _why_cpu(settings: Mapping[str, Any]) -> str:
    return "device is 'cpu'" if settings["device"] == "cpu" else why_no_gpu()


def _determinism(settings: Mapping[str, Any], random: Sequence[str]) -> str:
    """Say in `fit.json` what `deterministic: true` came to."""
    if not settings["deterministic"]:
        return "none"
    return f"all but {', '.join(random)}" if random else "full"


def _effect(fold: Fold, one: Array, several: Array) -> dict[str, list[float]]:
    """Measure what several views of each test video come to: accuracy and log-loss with one view, and with all."""
    targets = fold.targets("test")
    likelihoods = [np.clip(p[np.arange(len(targets)), targets], 1e-7, 1) for p in (one, several)]
    return {
        "accuracy": [float((p.argmax(1) == targets).mean()) for p in (one, several)],
        "log_loss": [float(-np.log(likelihood).mean()) for likelihood in likelihoods],
    }


def _compiled() -> dict[str, int]:
    """Count what compilation came to: what broke a graph runs uncompiled."""
    counters = torch._dynamo.utils.counters
    return {"graphs": counters["stats"]["unique_graphs"], "breaks": sum(counters["graph_break"].values())}


def _seen(task: Task, clips: Clips) -> dict[str, Any]:
    """Describe the network's input, so that other code can reproduce it."""
    facts: dict[str, Any] = {"frames": task.settings["frames"], "embedded": clips.dtype != np.uint8}
    if "encoder" in task.settings:  # imported by name: other networks do not depend on the code of encoders
        embedding = importlib.import_module("clipfold.models.embed")
        facts["encoder"] = embedding.describe_encoder(task.settings)
    return facts


def _detail(trainer: Trainer, train: BatchSource) -> dict[str, Any]:
    """Measure memory in detail: tensors by kind, and the activations of one clip by module."""
    batch = next(iter(train.batches([(np.array([0]), np.array([0]))])))
    inputs = as_input(trainer.network, batch.clips)
    stored = [] if train.stored is None else [train.stored]
    return {
        "tensors_mb": owners(
            trainer.network, trainer.optimizer, {"best weights": trainer.best.values(), "clips": stored}
        ),
        "activations_of_a_clip_mb": activations(trainer.network, lambda: forward(trainer.network, inputs, batch.boxes)),
    }


if __name__ == "__main__":
    log_to_starter()
    keep_freed_memory()
    fit_here(Task(**json.loads(Path(sys.argv[1]).read_bytes())))
