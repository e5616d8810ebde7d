"""Steps of training on random clips, to measure how fast a machine makes them."""

import importlib
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipfold.models.accelerator import choose_device, forbid_randomness
from clipfold.models.device import Precision, place
from clipfold.models.model import Model
from clipfold.training import transforms
from clipfold.training.batches import Batch
from clipfold.training.distributed import Processes
from clipfold.training.losses import Loss
from clipfold.training.optimisation import freeze, make_optimizer, set_rate
from clipfold.training.train_step import TrainStep
from clipfold.training.trainer import effective_batch

_BLOCK_S = 0.5  # least time to measure at once: steps of a small network take milliseconds
_BLOCKS = 5


class TrialSteps:
    """The optimizer steps of a model, as the trainer makes them, on two batches of random clips in memory.

    Args:
        model: A network on clips of two classes.
        threads: CPU threads.

    Raises:
        RuntimeError: A single clip does not fit into memory.
    """

    def __init__(self, model: Model, threads: int) -> None:
        settings = model.settings
        self._settings, self.threads = settings, threads
        self.clips = effective_batch(settings, 10**9)
        self._device = device = choose_device(settings, threads)
        torch.manual_seed(0)
        network = importlib.import_module(model.module).build(settings, 2)
        place(network, settings, device)
        forbid_randomness(device)
        network.train()
        freeze(network, settings, 0)
        self._optimizer = make_optimizer(network, settings, device)
        micro = self.clips if settings["batch_size"] == "auto" else settings["batch_size"]
        targets = np.arange(self.clips) % 2
        loss = Loss(settings, targets, 2, device)
        precision = Precision(settings["precision"], device)
        self._step = TrainStep(network, self._optimizer, loss, precision, settings, Processes(), device, micro)
        self._batches = [_random_batch(settings, targets, seed, device) for seed in range(2)]
        self._drawn: list[transforms.Drawn | None] = [None, None]
        if transforms.wanted(settings):
            self._drawn = list(transforms.draw_ahead(settings, [self.clips] * 2, range(2), device))
        self._made = 0
        self.run(2)  # libraries choose their algorithms, compilers compile

    def run(self, steps: int) -> float:
        """Make some steps; return their seconds, on a CPU those of its cores together."""
        torch.set_num_threads(self.threads)
        if self._device.type == "cuda":  # determinism and TF32 hold for the whole process
            choose_device(self._settings, self.threads)
        began = self._now()
        for _ in range(steps):
            set_rate(self._optimizer, 0.1)
            batch, drawn = self._batches[self._made % 2], self._drawn[self._made % 2]
            self._step(batch, self.clips, self._made, self._made, drawn)
            self._made += 1
        return self._now() - began

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()  # other programs hardly change it


def compare(one: TrialSteps, other: TrialSteps) -> tuple[float, float]:
    """Measure two kinds of steps in turn, so that other programs slow down both.

    Returns:
        Clips per second of the first, and the median of how many times as fast the second is.
    """
    both = (one, other)
    steps = [max(1, round(_BLOCK_S / trial.run(1))) for trial in both]
    blocks = [
        [trial.clips * number / trial.run(number) for trial, number in zip(both, steps, strict=True)]
        for _ in range(_BLOCKS)
    ]
    return statistics.median(first for first, _ in blocks), statistics.median(b / a for a, b in blocks)


def changed(model: Model, changes: Mapping[str, Any]) -> Model:
    """Return a model with other settings."""
    return replace(model, settings=model.settings | dict(changes))


def _random_batch(settings: Mapping[str, Any], targets: np.ndarray, seed: int, device: torch.device) -> Batch:
    random = torch.Generator().manual_seed(seed)
    size = settings["size"]
    shape = (len(targets), settings["frames"], size, size, 3)
    clips: Tensor = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    boxes = torch.tensor([[0, 0, size, size]] * len(targets))
    return Batch(clips.to(device), boxes.to(device), torch.from_numpy(targets).to(device))
