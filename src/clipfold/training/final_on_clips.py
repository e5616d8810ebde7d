"""Train a network on the clips of all videos.

Batches, steps, checkpoints, processes and the handling of full memory are those of `on_clips`.
"""

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from clipfold.clips.reader import Clips
from clipfold.models.device import choose_device, place
from clipfold.storage.fingerprint import fingerprint
from clipfold.storage.job import keep_freed_memory
from clipfold.storage.replace import replacing
from clipfold.training import on_clips
from clipfold.training.batches import BatchSource
from clipfold.training.checkpoint import Checkpoint, key_of
from clipfold.training.distributed import joined
from clipfold.training.final import FinalTask, all_videos, median_epoch, plateau_factors, read_rates
from clipfold.training.final_trainer import FinalTrainer
from clipfold.training.fold import write_record
from clipfold.training.memory import Peaks
from clipfold.training.micro_batch import choose_micro_batch
from clipfold.training.plan import TrainingPlan
from clipfold.training.recorder import Recorder
from clipfold.training.signals import SIGNALS, listening
from clipfold.training.trainer import effective_batch


def fit(task: FinalTask) -> None:
    """Train one model on all videos, for the median of its folds' best epochs; the last epoch is kept.

    A fit that was killed resumes from its last checkpoint, as one of `on_clips`; module, data and errors are as there.
    """
    processes = min(task.gpus, torch.cuda.device_count())
    if processes > 1:
        launch(task, processes)
    else:
        fit_here(task)


def launch(task: FinalTask, processes: int) -> None:
    """Fit in several processes started by `torchrun`, one per GPU, as `on_clips.launch` does."""
    task_file = Path(task.scratch) / "task.json"
    with replacing(task_file) as file:
        file.write(json.dumps(asdict(task), default=str).encode())
    signals = f"--signals-to-handle={','.join(number.name for number in SIGNALS)}"
    command = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", signals]
    with listening() as stop:
        running = subprocess.Popen(
            [sys.executable, "-m", *command, "-m", "clipfold.training.final_on_clips", task_file],
            env=os.environ | {"PYTHONSAFEPATH": "1"},  # imports nothing from the working directory
        )
        stop.pass_on = running.terminate
        code = running.wait()
    if stop.signal is not None:
        raise SystemExit(128 + stop.signal)
    if code:
        raise SystemExit(code)


def fit_here(task: FinalTask) -> None:
    """Fit in this process, which may be one of several, see `fit`."""
    started = time.monotonic()
    settings = task.settings
    epochs = median_epoch(task.chosen)
    lowered = settings["schedule"] == "plateau"
    factors = plateau_factors(read_rates(task.histories), epochs) if lowered else np.ones(epochs)
    code = fingerprint("clipfold.training.final_on_clips", task.module)
    facts = [task.module, settings, factors.tolist(), task.seed, task.stored_size, code, torch.__version__]
    key = key_of(facts, [task.splits, *(path for paths in task.data.values() for path in paths)])
    with listening() as stop, joined() as processes:
        device = choose_device(settings, task.threads, processes.rank)
        peaks = Peaks(device)
        fold = all_videos(task.splits)
        classes = len(fold.classes)
        clips = Clips(task.data, settings["frames"], task.stored_size, settings["size"])
        workers = settings["workers"]
        train = BatchSource(clips, fold.ids("train"), fold.targets("train"), device, workers, augmented=True)
        nothing = BatchSource(clips, fold.ids("val"), fold.targets("val"), device, workers, augmented=False)
        peaks.note("reading")
        torch.manual_seed(task.seed)
        network = on_clips._build(task.module, settings, clips, classes)
        place(network, settings, device)
        micro = choose_micro_batch(network, settings, train, classes)
        peaks.note("building")
        # TensorBoard shows the training clips, for want of others.
        recorder = Recorder(settings, task.outputs["history"], task.scratch, train, device, first=processes.rank == 0)
        checkpoint = Checkpoint(Path(task.scratch, "checkpoint.pt"), key)
        plan = TrainingPlan(
            network=network,
            settings=settings,
            train=train,
            val=nothing,
            classes=classes,
            seed=task.seed,
            micro=micro,
            recorder=recorder,
            checkpoint=checkpoint,
            stop=stop,
            processes=processes,
        )
        trainer = FinalTrainer(plan, factors.tolist())
        trainer.run()
        peaks.note("training")
        if processes.rank:
            return
        with replacing(task.outputs["model"]) as file:
            file.write(save({name: tensor.contiguous().cpu() for name, tensor in trainer.best.items()}))
        recorder.write(trainer.progress.history)
        write_record(
            task,
            fold,
            "clips",
            **on_clips._seen(task, clips),
            parameters=sum(p.numel() for p in network.parameters()),
            epochs=epochs,
            device=str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
            processes=processes.world,
            precision=trainer.precision.name,
            batch=effective_batch(settings, len(train.ids)),
            micro_batch=trainer.train_step.micro,
            out_of_memory={"repeated": trainer.train_step.retried, "halved": trainer.train_step.halved},
            rollbacks=trainer.progress.rollbacks,
            data_in=train.kind,
            speed=recorder.close(),
            memory=peaks.stages | (on_clips._detail(trainer, train) if settings["memory_detail"] else {}),
            seconds=time.monotonic() - started,
        )
        checkpoint.remove()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    keep_freed_memory()
    fit_here(FinalTask(**json.loads(Path(sys.argv[1]).read_bytes())))
