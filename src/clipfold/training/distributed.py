"""The processes that train one network together, one per GPU; usually there is one."""

import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together.

    What the processes agree on are numbers that the hosts know, and the hosts exchange them (by gloo): no GPU waits.
    Only gradients, losses and statistics go from GPU to GPU (by NCCL).

    Args:
        rank: Number of this process.
        world: Number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def share(self) -> slice:
        """Select this process's clips from those of a step."""
        return slice(self.rank, None, self.world)

    def any(self, flag: bool) -> bool:
        """Tell whether the flag is set in any process."""
        return bool(self.all_reduce_max(int(flag)))

    def all_reduce_max(self, value: int) -> int:
        """Return the largest value of all processes."""
        if self.world == 1:
            return value
        votes = torch.tensor(value)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return int(votes.item())

    def broadcast(self, value: float) -> float:
        """Return the value of the first process."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(shared, 0)
        return float(shared.item())

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def broadcast_buffers(self, network: nn.Module) -> None:
        """Copy the running statistics of the first process to all others."""
        if self.world > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)


class Gradients:
    """The gradients of all processes, summed in a buffer that is made once, before memory is scarce.

    They are summed once per step, after all its micro-batches, and only if no process ran out of memory: with the
    overlapping reduction of `DistributedDataParallel`, a process that ran out of memory in its backward pass would
    leave the others waiting forever. So would one that could not allocate its buffer.

    Args:
        parameters: All that may ever have a gradient.
        processes: The processes that train together.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], processes: Processes) -> None:
        self._processes = processes
        if processes.world > 1:
            self._flat = torch.empty(sum(p.numel() for p in parameters), device=parameters[0].device)

    def sum(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients of these parameters by their sums; a process without a clip in the step adds none."""
        if self._processes.world == 1:
            return
        sums, end = [], 0
        for p in parameters:  # in the parameter's own order of elements, in which its gradient lies, too
            sums.append(self._flat.as_strided(p.shape, p.stride(), end))
            end += p.numel()
        own = [(total, p.grad) for total, p in zip(sums, parameters, strict=True) if p.grad is not None]
        if len(own) < len(sums):
            self._flat[:end].zero_()
        if own:
            torch._foreach_copy_([total for total, _ in own], [gradient for _, gradient in own])
        dist.all_reduce(self._flat[:end])
        for total, p in zip(sums, parameters, strict=True):
            p.grad = total


@contextmanager
def joined() -> Any:
    """Join the other processes if `torchrun` started several; leave when all are done."""
    if not dist.is_torchelastic_launched():
        yield Processes()
        return
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)  # before NCCL takes the first GPU for all
        dist.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    try:
        processes = Processes(dist.get_rank(), dist.get_world_size())
        yield processes
        processes.any(False)  # leaving ends NCCL in all processes of a machine: none may leave while another works
    finally:
        dist.destroy_process_group()
