"""Train for epochs: validate, keep the best, stop early; interruptible and resumable at any step."""

import copy
import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipfold.models.device import Precision
from clipfold.models.network import ClipNetwork
from clipfold.storage.files import Array
from clipfold.training import transforms
from clipfold.training.average import Average
from clipfold.training.batches import BatchSource
from clipfold.training.host import on_host
from clipfold.training.losses import Loss
from clipfold.training.optimisation import freeze, make_optimizer, rate_factor, set_rate
from clipfold.training.order import epoch_order, step_seed
from clipfold.training.plan import TrainingPlan
from clipfold.training.predict import predict
from clipfold.training.progress import Progress
from clipfold.training.train_step import TrainStep

logger = logging.getLogger(__name__)

_CHECK_EVERY = 20  # steps between checks that the loss is finite: each synchronises with the device
_MAX_ROLLBACKS = 5


class NotFiniteError(FloatingPointError):
    """The loss is no longer finite."""


class Trainer:
    """A training loop that keeps the epoch that is best on the validation videos.

    Attributes:
        network: The network; after `run` with the best weights.
        best: Weights and buffers of the best epoch, in host memory.
        progress: The progress of the fit.
    """

    def __init__(self, plan: TrainingPlan) -> None:
        settings, train = plan.settings, plan.train
        self.network, self._settings, self._train, self._val, self._seed = (
            plan.network,
            settings,
            train,
            plan.val,
            plan.seed,
        )
        self._recorder, self._checkpoint, self._stop = plan.recorder, plan.checkpoint, plan.stop
        self._processes, self._device = plan.processes, train.device
        self.precision = Precision(settings["precision"], self._device)
        self.optimizer = make_optimizer(self.network, settings, self._device)
        loss = Loss(settings, train.targets, plan.classes, self._device)
        self.train_step = TrainStep(
            self.network, self.optimizer, loss, self.precision, settings, plan.processes, self._device, plan.micro
        )
        self._average = Average(self.network, settings["ema"]) if settings["ema"] else None
        self.best: dict[str, Tensor] = {}
        self.progress = Progress(micro=plan.micro)
        self._effective = effective_batch(settings, len(train.ids))
        self._steps = math.ceil(len(train.ids) / self._effective)
        self._saved = time.monotonic()
        self._videos = np.empty(0, np.int64)  # of the current epoch, in its order

    def run(self) -> None:
        """Train to the end, or until the validation loss has not fallen for `patience` epochs.

        Raises:
            NotFiniteError: The loss is not finite; names the step, its learning rate and its videos.
            SystemExit: A signal asked to stop; the checkpoint is written.
        """
        if self._restore():
            done = self.progress
            self.train_step.micro, self.train_step.retried, self.train_step.halved = (
                done.micro,
                done.retried,
                done.halved,
            )
            logger.info("resuming at epoch %d, step %d of %d", self.progress.epoch, self.progress.done, self._steps)
        elif self._settings["on_nan"] == "halve":
            self._save(wait=True)  # a checkpoint to return to
        p = self.progress
        while p.epoch <= self._settings["epochs"] and p.epoch - 1 - p.best_epoch < self._settings["patience"]:
            try:
                self._epoch()
                self._validate()
            except NotFiniteError as error:
                self._roll_back(error)
                p = self.progress
                continue
            p.epoch, p.done, p.loss = p.epoch + 1, 0, 0.0
            self.train_step.reset()
            if self._settings["checkpoint_epochs"] and (p.epoch - 1) % self._settings["checkpoint_epochs"] == 0:
                self._save()
            self._save_if_due()
        self.network.load_state_dict(self.best)

    def kept(self) -> dict[str, int]:
        """Tell which epoch was kept, for the record of the fit."""
        return {"best_epoch": self.progress.best_epoch}

    def predict(self, network: ClipNetwork, source: BatchSource, views: int = 1) -> Array:
        """Predict the videos of a split from some views of each clip, float32 (videos, classes)."""
        clips = self._settings["predict_batch"] or self.train_step.micro
        return predict(network, source, self.precision, clips, self._processes, views)

    def _epoch(self) -> None:
        p, settings = self.progress, self._settings
        videos, versions = epoch_order(
            self._train.targets,
            self._train.versions,
            seed=self._seed,
            epoch=p.epoch,
            balanced=settings["sampler"] == "balanced",
        )
        steps = [slice(i * self._effective, (i + 1) * self._effective) for i in range(p.done, self._steps)]
        own = [(videos[s][self._processes.share], versions[s][self._processes.share]) for s in steps]
        seeds = [step_seed(self._seed, p.step + i, self._processes.rank) for i in range(len(steps))]
        drawn: Iterable[transforms.Drawn | None] = repeat(None, len(steps))
        if transforms.wanted(settings) and self._train.shows_pixels:
            drawn = transforms.draw_ahead(settings, [len(some) for some, _ in own], seeds, self._device)
        self.network.train()
        freeze(self.network, settings, p.epoch)
        self._videos = videos
        batches = self._recorder.timed(self._train.batches(own), self._steps, p.done)
        # The batches come first: recording ends after the last one.
        for batch, rows, seed, parameters in zip(batches, steps, seeds, drawn, strict=True):
            set_rate(self.optimizer, p.scale * rate_factor(settings, p.step, self._steps * settings["epochs"]))
            clips = len(videos[rows])
            self.train_step(batch, clips, p.step, seed, parameters)
            if self._average is not None:
                self._average.update()
            p.done, p.step, p.micro = p.done + 1, p.step + 1, self.train_step.micro
            if p.done % _CHECK_EVERY == 0:
                self._check_finite()
            self._save_if_due()
        self._check_finite(weights=True)
        for network in (self.network, self._validated()):
            self._processes.broadcast_buffers(network)

    def _validated(self) -> ClipNetwork:
        """Return the network that is validated and kept."""
        return self.network if self._average is None else self._average.network

    def _check_finite(self, weights: bool = False) -> None:
        """Check the losses and, before weights are kept, the weights, which an infinite gradient may have spoilt."""
        p = self.progress
        step = self._processes.all_reduce_max(int(self.train_step.bad.item()))
        if step < 0 and weights and self._processes.any(not _finite(self.network)):
            step = p.step - 1
        if step < 0:
            return
        within = step - (p.step - p.done)
        ids = [self._train.ids[i] for i in self._videos[within * self._effective : (within + 1) * self._effective]]
        rate = max(g["initial_lr"] for g in self.optimizer.param_groups) * p.scale
        rate *= rate_factor(self._settings, step, self._steps * self._settings["epochs"])
        raise NotFiniteError(
            f"the loss of step {step} (epoch {p.epoch}) or the weights after it are not finite at a learning "
            f"rate of {rate:.3g}: use a lower learning_rate, clip_norm, or on_nan: halve; its videos were "
            f"{', '.join(map(repr, ids))}"
        )

    def _roll_back(self, error: NotFiniteError) -> None:
        before = self.progress
        if self._settings["on_nan"] != "halve" or before.rollbacks == _MAX_ROLLBACKS or not self._restore():
            raise error
        self.progress.rollbacks, self.progress.scale = before.rollbacks + 1, before.scale / 2
        self.train_step.bad.fill_(-1)
        self._recorder.warn(
            "the loss was not finite: returning to step %d with half the learning rate", self.progress.step
        )

    def _validate(self) -> None:
        p, settings = self.progress, self._settings
        network = self._validated()
        trained = self._recorder.seconds()
        probabilities = self.predict(network, self._val)
        targets = self._val.targets
        if self._processes.any(not np.isfinite(probabilities).all()):
            raise NotFiniteError(f"predictions after epoch {p.epoch} are not finite: use a lower learning_rate")
        likelihood = np.clip(probabilities[np.arange(len(targets)), targets], 1e-7, 1)
        val_loss = self._processes.broadcast(float(-np.log(likelihood).mean()))
        row = {
            "epoch": p.epoch,
            "train_loss": float(self._processes.all_reduce_sum(self.train_step.total)) / len(self._train.ids),
            "val_loss": val_loss,
            "val_accuracy": float((probabilities.argmax(1) == targets).mean()),
            "learning_rate": max(float(group["lr"]) for group in self.optimizer.param_groups),
            "seconds": trained,
        }
        p.history.append(row)
        self._recorder.epoch(p.history, settings["epochs"], probabilities)
        if val_loss < p.best_loss:
            p.best_loss, p.best_epoch, p.stale = val_loss, p.epoch, 0
            self.best = on_host(network.state_dict())
            return
        p.stale += 1
        if settings["schedule"] == "plateau" and p.stale >= settings["plateau_patience"]:
            p.scale, p.stale = p.scale * 0.1, 0
            logger.info(
                "validation loss has not fallen for %d epochs: learning rate divided by 10",
                settings["plateau_patience"],
            )

    def _save_if_due(self) -> None:
        """Save if it is time; save and exit if a signal asked to stop."""
        minutes = self._settings["checkpoint_minutes"]
        due = bool(minutes) and time.monotonic() - self._saved > 60 * minutes
        request = self._processes.all_reduce_max(2 if self._stop.signal is not None else int(due))
        if request:
            self._check_finite(weights=True)
            self._save(wait=request == 2)
        if request == 2:
            number = self._stop.signal or 15
            logger.warning("asked to stop by signal %d at step %d: run again to resume", number, self.progress.step)
            raise SystemExit(128 + number)

    def _save(self, wait: bool = False) -> None:
        """Write a checkpoint: on a GPU while training goes on, unless told to wait or the last one is still written."""
        p, train_step = self.progress, self.train_step
        p.loss = float(self._processes.all_reduce_sum(train_step.total))
        p.retried, p.halved = train_step.retried, train_step.halved
        self._saved = time.monotonic()
        beside = self._device.type == "cuda" and not wait
        if self._processes.rank or (beside and self._checkpoint.writing()):
            return
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "best": self.best,
            "progress": copy.deepcopy(asdict(p)),
        }
        if beside:
            self._checkpoint.save_beside(on_host(state))
        else:
            self._checkpoint.save(state)

    def _restore(self) -> bool:
        """Restore the state of the checkpoint, if there is one."""
        state = self._checkpoint.load()
        if state is None:
            return False
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.best = on_host(state["best"])
        self.progress = Progress(**state["progress"])
        self.train_step.reset(0.0 if self._processes.rank else self.progress.loss)
        return True


def _finite(network: ClipNetwork) -> bool:
    """Tell whether all weights and buffers are finite."""
    values = [v for v in network.state_dict().values() if v.is_floating_point()]
    return bool(torch.stack([v.isfinite().all() for v in values]).all())


def effective_batch(settings: Mapping[str, Any], videos: int) -> int:
    """Compute the clips per optimizer step: `batch_size` times `accumulate`, or just `accumulate` if it is `auto`."""
    size = 1 if settings["batch_size"] == "auto" else settings["batch_size"]
    return min(int(size * settings["accumulate"]), videos)
