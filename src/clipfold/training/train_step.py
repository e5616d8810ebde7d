"""Make one optimizer step on one batch, in as many micro-batches as memory requires."""

import gc
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clipfold.models.accelerator import allow_randomness
from clipfold.models.device import GRAPHED, Precision, Uncompiled, is_out_of_memory
from clipfold.models.inputs import as_input, forward, normalised, unit
from clipfold.models.network import ClipNetwork
from clipfold.training import transforms
from clipfold.training.batches import Batch
from clipfold.training.distributed import Gradients, Processes
from clipfold.training.losses import Loss
from clipfold.training.optimisation import make_state
from clipfold.training.step_graph import step_graph

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
        random: Operations that turned out to have no deterministic variant on this GPU.
        graph: Replays the passes of full steps; None: they run without.
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
        self.micro = micro
        self.halved: list[tuple[int, int]] = []
        self.retried: list[int] = []
        self.random: list[str] = []
        self._network, self._optimizer, self._loss, self._precision = network, optimizer, loss, precision
        self._settings, self._processes, self._device = settings, processes, device
        self._statistics = _by_type(network.buffers())
        self._kept = [[buffer.clone() for buffer in some] for some in self._statistics]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._gradients = Gradients(parameters, processes)
        self.graph = step_graph(network, parameters, device) if settings["graph"] else None
        self._full = 0  # clips in a step so far
        self._even = settings["batch_size"] == "auto" and device.type == "cuda"
        self._uncompiled = Uncompiled(settings["compile"])
        self._lack = ""  # of memory: the last error
        self.bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.reset()

    def reset(self, total: float = 0.0) -> None:
        """Reset the running loss."""
        self.total = torch.tensor(total, dtype=torch.float64, device=self._device)

    def __call__(self, batch: Batch, clips: int, step: int, seed: int, drawn: transforms.Drawn | None = None) -> None:
        """Make the step, repeating it if memory runs out.

        Args:
            batch: This process's clips of the step.
            clips: Clips of all processes in the step.
            step: Number of the step in the whole fit.
            seed: Seed for everything random in the step.
            drawn: Parameters of the augmentation of this process's clips, on the device; None: no augmentation.

        Raises:
            RuntimeError: A single clip does not fit into memory.
        """
        _copy(self._statistics, self._kept)
        retried = False
        while not self.attempt(batch, clips, step, seed, drawn):
            if self.graph is not None:
                self.graph.forget()
            gc.collect()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            _copy(self._kept, self._statistics)
            if retried:
                self._halve(batch, step)
            else:
                self.retried.append(step)
                logger.warning("out of memory at step %d: freed memory, repeating the step", step)
            retried = True

    def attempt(self, batch: Batch, clips: int, step: int, seed: int, drawn: transforms.Drawn | None = None) -> bool:
        """Try one step; False if memory ran out, in which case only running statistics have changed."""
        total = None
        while total is None:
            try:
                total = self._backward(batch, clips, seed, drawn)
                make_state(self._optimizer)
            except (RuntimeError, MemoryError) as error:
                if operation := allow_randomness(error):
                    self.random.append(operation)
                    _copy(self._kept, self._statistics)
                    continue
                if not is_out_of_memory(error):
                    raise
                self._lack = str(error).partition("\n")[0]
                total = None
                break
        if self._processes.any(total is None):
            return False
        assert total is not None
        self._update()
        self.bad = torch.where((self.bad < 0) & ~torch.isfinite(total), step, self.bad)
        self.total += total
        return True

    def _backward(self, batch: Batch, clips: int, seed: int, drawn: transforms.Drawn | None) -> Tensor:
        """Compute the gradients; return the sum of the losses."""
        recorded = self._record(batch, clips, drawn)
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` visits every kind of device
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)
        if recorded and self.graph is not None:
            return self.graph.replay(batch, drawn)
        return self._compute(batch, clips, drawn)

    def _record(self, batch: Batch, clips: int, drawn: transforms.Drawn | None) -> bool:
        """Record the passes of this kind of step, if a graph is wanted; False: it runs without, as a short last one."""
        number = len(batch.targets)
        self._full = max(self._full, number)
        if self.graph is None or self.graph.failed or number < self._full:
            return False
        trained = sum(p.requires_grad for p in self._network.parameters())  # more when a backbone is unfrozen
        kind = number, clips, self.micro, trained
        if not self.graph.knows(kind):
            self.graph.record(kind, lambda batch, drawn: self._compute(batch, clips, drawn), batch, drawn)
            _copy(self._kept, self._statistics)
        return not self.graph.failed

    def _compute(self, batch: Batch, clips: int, drawn: transforms.Drawn | None) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros_like(self.total)
        for loss in self._losses(batch, drawn):
            self._precision.scaler.scale(loss / clips).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _losses(self, batch: Batch, drawn: transforms.Drawn | None) -> Iterator[Tensor]:
        """Yield the loss of each micro-batch, summed over its clips."""
        targets = self._loss.soft(batch.targets)
        parts = self._parts(len(targets))
        if len(parts) > 1 and self._settings["compile"] in GRAPHED:
            self._leave_graphs()
        for rows in parts:  # slices copy nothing, and no GPU waits for them
            if drawn is None:
                inputs, boxes, mixed = as_input(self._network, batch.clips[rows]), batch.boxes[rows], targets[rows]
            else:
                inputs, boxes, mixed = self._augment(batch, targets, drawn, rows)
            with self._precision.autocast(), self._uncompiled.if_short(len(inputs)):
                logits = forward(self._network, inputs, boxes)
            yield self._loss(logits, mixed)

    def _parts(self, clips: int) -> list[slice]:
        """Divide a step's clips into micro-batches: evenly, if the user did not choose their size."""
        size = self.micro
        if clips and (self._even or self.halved):
            size = math.ceil(clips / math.ceil(clips / size))
        return [slice(first, min(first + size, clips)) for first in range(0, clips, size)]

    def _augment(
        self, batch: Batch, targets: Tensor, drawn: transforms.Drawn, rows: slice
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = drawn.of(rows)
        raw, boxes = transforms.change(unit(batch.clips[rows]), batch.boxes[rows], own)
        mixed = targets[rows]
        if self._settings["mixup"]:  # Zhang et al. 2018
            partners = own.partner
            other, _ = transforms.change(unit(batch.clips[partners]), batch.boxes[partners], drawn.of(partners))
            share = own.share
            raw = raw * share[:, None, None, None, None] + other * (1 - share)[:, None, None, None, None]
            mixed = mixed * share[:, None] + targets[partners] * (1 - share)[:, None]
        return normalised(self._network, raw), boxes, mixed

    def _leave_graphs(self) -> None:
        """Compile without CUDA graphs: they would overwrite the gradients of one micro-batch with the next one's."""
        logger.warning("compile %s cannot be used with several micro-batches: using default", self._settings["compile"])
        self._settings = {**self._settings, "compile": "default"}
        torch._dynamo.reset()
        self._network.compile(mode="default")

    def _update(self) -> None:
        scaler = self._precision.scaler
        parameters = [p for group in self._optimizer.param_groups for p in group["params"] if p.requires_grad]
        self._gradients.sum(parameters)
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
                "use a smaller size, fewer frames, checkpointing: true, or a machine with more memory "
                f"(the last error: {self._lack or 'of another process'})"
            )
        self.micro //= 2
        self.halved.append((step, self.micro))
        logger.warning(
            "out of memory at step %d: using micro-batches of %d from now on, with the same batch size",
            step,
            self.micro,
        )


def _by_type(buffers: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group tensors by device and type: those of a group are copied by one call of the GPU."""
    groups: dict[object, list[Tensor]] = defaultdict(list)
    for buffer in buffers:
        groups[buffer.device, buffer.dtype].append(buffer)
    return list(groups.values())


def _copy(sources: list[list[Tensor]], targets: list[list[Tensor]]) -> None:
    for source, target in zip(sources, targets, strict=True):
        torch._foreach_copy_(target, source)
