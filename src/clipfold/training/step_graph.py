"""Replay the forward and backward passes of a step as one CUDA graph: one launch by the host instead of hundreds.

Networks of many small kernels are bound by the time that the host takes to launch them. A graph holds the kernels of a
step with the addresses that they read and write. So what differs between steps (clips, boxes, targets, parameters of
the augmentation) is copied to where it was at the first, and the gradients lie where they lay then.

Source: "Accelerating PyTorch with CUDA Graphs" (PyTorch blog, 2021); `torch.cuda.CUDAGraph`.
"""

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor, nn

from clipfold.models.accelerator import is_nondeterministic
from clipfold.models.device import is_out_of_memory
from clipfold.training.batches import Batch
from clipfold.training.transforms import Drawn

logger = logging.getLogger(__name__)

Work = Callable[[Batch, Drawn | None], Tensor]
_WARM_UP = 3  # passes: libraries choose algorithms and allocate workspaces, which no graph can hold


class StepGraph:
    """The passes of one kind of step, recorded when the first of them is made.

    Args:
        network: The network.
        parameters: All that may ever have a gradient.
        device: Their device.

    Attributes:
        recorded: How often passes were recorded.
        failed: Why they cannot be recorded; empty if they can.
    """

    def __init__(self, network: nn.Module, parameters: Sequence[nn.Parameter], device: torch.device) -> None:
        self.recorded, self.failed = 0, ""
        self._parameters = parameters
        self._counters = [buffer for buffer in network.buffers() if buffer.device.type != device.type]
        self.forget()

    def forget(self) -> None:
        """Free the graph with its memory."""
        self._kind: Hashable = None
        self._inputs: list[Tensor] = []
        self._counts: list[Tensor] = []
        self._gradients: list[tuple[nn.Parameter, Tensor]] = []
        self._replay: Callable[[], None] | None = None

    def knows(self, kind: Hashable) -> bool:
        """Tell whether passes of this kind are recorded."""
        return self._replay is not None and kind == self._kind

    def record(self, kind: Hashable, work: Work, batch: Batch, drawn: Drawn | None) -> None:
        """Record passes in place of earlier ones. This computes some: running statistics and gradients change.

        Args:
            kind: All that the kernels depend on, but for the numbers in batch and parameters.
            work: Computes the gradients anew and returns the sum of the losses; takes nothing else that changes.
            batch: Clips of the first step.
            drawn: Parameters of its augmentation.

        Raises:
            RuntimeError: Memory ran out, or an operation is not deterministic; any other is kept as `failed`.
        """
        self.forget()
        kept = Batch(batch.clips.clone(), batch.boxes.clone(), batch.targets.clone())
        kept_drawn = drawn and drawn.clone()

        def counted() -> Tensor:
            before = [counter.clone() for counter in self._counters]
            total = work(kept, kept_drawn)
            self._counts = [counter - old for counter, old in zip(self._counters, before, strict=True)]
            return total

        try:
            self._replay, self._total = record_on_gpu(counted)
        except RuntimeError as error:
            if is_out_of_memory(error) or is_nondeterministic(error):
                raise
            self.failed = str(error).partition("\n")[0]
            logger.warning("graph: the steps of this network cannot be recorded, and run without: %s", self.failed)
            return
        self._kind, self._inputs = kind, _tensors(kept, kept_drawn)
        self._gradients = [(p, p.grad) for p in self._parameters if p.grad is not None]
        self.recorded += 1

    def replay(self, batch: Batch, drawn: Drawn | None) -> Tensor:
        """Compute the gradients of a step; return the sum of its losses, valid until the next."""
        assert self._replay is not None
        for place, value in zip(self._inputs, _tensors(batch, drawn), strict=True):
            place.copy_(value, non_blocking=True)
        self._replay()
        for counter, count in zip(self._counters, self._counts, strict=True):
            counter += count
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._total


def step_graph(network: nn.Module, parameters: Sequence[nn.Parameter], device: torch.device) -> StepGraph | None:
    """Return a graph for steps on a GPU; None on a CPU, with a warning."""
    if device.type == "cuda":
        return StepGraph(network, parameters, device)
    logger.warning("graph: true needs a GPU: the steps run without")
    return None


def record_on_gpu(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record work; return what replays it, and where its result then lies."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        total = work()
    return graph.replay, total


def _tensors(batch: Batch, drawn: Drawn | None) -> list[Tensor]:
    return [batch.clips, batch.boxes, batch.targets, *(drawn.tensors() if drawn else ())]
