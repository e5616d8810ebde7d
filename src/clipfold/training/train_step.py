"""Make one optimizer step on one batch, in as many micro-batches as memory requires."""

import gc
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clipfold.models.device import Precision, is_out_of_memory
from clipfold.models.inputs import as_input, forward, normalised, unit
from clipfold.models.network import ClipNetwork
from clipfold.training import transforms
from clipfold.training.batches import Batch
from clipfold.training.distributed import Processes
from clipfold.training.losses import Loss
from clipfold.training.optimisation import make_state

logger = logging.getLogger(__name__)


class TrainStep:
    """Forward, backward and update; repeats a step that ran out of memory, then with smaller micro-batches.

    Everything random in a step comes from its seed, and running statistics that a failed attempt changed are restored:
    a step that succeeds at the second attempt gives the same bits as at the first.

    Args:
        network: The network to train.
        optimizer: Its optimizer.
        loss: Loss on logits.
        precision: Precision of the forward passes.
        settings: `clip_norm`, and the augmentation on the device.
        processes: The processes that train together.
        device: Device of the network.
        micro: Clips per forward pass at the start.

    Attributes:
        micro: Clips per forward pass.
        total: Sum of the losses of all clips since `reset`, on the device.
        bad: The first step whose loss was not finite, -1 for none, on the device.
        halved: (step, new micro-batch) for each time that the micro-batch was halved.
        retried: Steps that were repeated with the same micro-batch.
    """

    def __init__(
        self,
        network: ClipNetwork,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        precision: Precision,
        settings: Mapping[str, Any],
        processes: Processes,
        device: torch.device,
        micro: int,
    ) -> None:
        self.micro, self.halved, self.retried = micro, [], []  # type: ignore[var-annotated]
        self._network, self._optimizer, self._loss, self._precision = network, optimizer, loss, precision
        self._settings, self._processes, self._device = settings, processes, device
        self._statistics = list(network.buffers())
        self._kept = [buffer.clone() for buffer in self._statistics]
        self.bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.reset()

    def reset(self, total: float = 0.0) -> None:
        """Reset the running loss."""
        self.total = torch.tensor(total, dtype=torch.float64, device=self._device)

    def __call__(self, batch: Batch, clips: int, step: int, seed: int) -> None:
        """Make one step.

        Args:
            batch: This process's clips of the step.
            clips: Number of clips in the step, over all processes.
            step: Number of the step, for messages.
            seed: Seed for everything random in the step.

        Raises:
            RuntimeError: A single clip does not fit into memory.
        """
        for kept, buffer in zip(self._kept, self._statistics, strict=True):
            kept.copy_(buffer)
        retried = False
        while not self.attempt(batch, clips, step, seed):
            gc.collect()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            for kept, buffer in zip(self._kept, self._statistics, strict=True):
                buffer.copy_(kept)
            if retried:
                self._halve(batch, step)
            else:
                self.retried.append(step)
                logger.warning("out of memory at step %d: freed memory, repeating the step", step)
            retried = True

    def attempt(self, batch: Batch, clips: int, step: int, seed: int) -> bool:
        """Try one step; False if memory ran out, in which case only running statistics have changed."""
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` visits every kind of device
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros_like(self.total)
        enough = True
        try:
            for loss in self._losses(batch, seed):
                self._precision.scaler.scale(loss / clips).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            make_state(self._optimizer)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            enough = False
        if self._processes.any(not enough):
            return False
        self._update()
        self.bad = torch.where((self.bad < 0) & ~torch.isfinite(total), step, self.bad)
        self.total += total
        return True

    def _losses(self, batch: Batch, seed: int) -> Iterator[Tensor]:
        """Yield the loss of each micro-batch, summed over its clips."""
        targets = self._loss.soft(batch.targets)
        augmented = transforms.wanted(self._settings) and batch.clips.dtype == torch.uint8
        drawn = transforms.draw(self._settings, len(targets), seed) if augmented else None
        for rows in torch.split(torch.arange(len(targets)), self.micro) if len(targets) else ():
            if drawn is None:  # a slice copies nothing and does not synchronise with the device
                some = slice(int(rows[0]), int(rows[-1]) + 1)
                inputs, boxes, mixed = as_input(self._network, batch.clips[some]), batch.boxes[some], targets[some]
            else:
                inputs, boxes, mixed = self._augment(batch, targets, drawn, rows)
            with self._precision.autocast():
                logits = forward(self._network, inputs, boxes)
            yield self._loss(logits, mixed)

    def _augment(
        self, batch: Batch, targets: Tensor, drawn: transforms.Drawn, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        raw, boxes = transforms.change(unit(batch.clips[rows]), batch.boxes[rows], drawn, rows)
        mixed = targets[rows]
        if self._settings["mixup"]:  # Zhang et al. 2018
            partners = drawn.partner[rows]
            other, _ = transforms.change(unit(batch.clips[partners]), batch.boxes[partners], drawn, partners)
            share = drawn.share[rows].to(raw.device)
            raw = raw * share[:, None, None, None, None] + other * (1 - share)[:, None, None, None, None]
            mixed = mixed * share[:, None] + targets[partners] * (1 - share)[:, None]
        return normalised(self._network, raw), boxes, mixed

    def _update(self) -> None:
        scaler = self._precision.scaler
        parameters = [p for group in self._optimizer.param_groups for p in group["params"] if p.requires_grad]
        self._processes.sum_gradients(parameters)
        if self._settings["clip_norm"]:
            scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(parameters, self._settings["clip_norm"])
        scaler.step(self._optimizer)
        scaler.update()

    def _halve(self, batch: Batch, step: int) -> None:
        if self.micro == 1:
            frames, size = batch.clips.shape[1:3]
            raise RuntimeError(
                f"a single clip of {frames} frames at {size} pixels does not fit into memory: "
                "use a smaller size, fewer frames, checkpointing: true, or a machine with more memory"
            )
        self.micro //= 2
        self.halved.append((step, self.micro))
        logger.warning(
            "out of memory at step %d: using micro-batches of %d from now on, with the same batch size",
            step,
            self.micro,
        )
