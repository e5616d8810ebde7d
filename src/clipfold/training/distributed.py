"""The processes that train one network together, one per GPU; usually there is one."""

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

    Gradients are summed once per step, after all its micro-batches, and only if no process ran out of memory: with the
    overlapping reduction of `DistributedDataParallel`, a process that ran out of memory in its backward pass would
    leave the others waiting forever.

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
        votes = torch.tensor(value, device=self._device())
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return int(votes.item())

    def broadcast(self, value: float) -> float:
        """Return the value of the first process."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self._device())
        dist.broadcast(shared, 0)
        return float(shared.item())

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum the gradients of all processes; one without a clip in the step adds none."""
        if self.world == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([p.grad.reshape(-1) for p in parameters if p.grad is not None])
        dist.all_reduce(flat)
        first = 0
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.copy_(flat[first : first + parameter.numel()].view_as(parameter))
            first += parameter.numel()

    def broadcast_buffers(self, network: nn.Module) -> None:
        """Copy the running statistics of the first process to all others."""
        if self.world > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def _device(self) -> torch.device:
        return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


@contextmanager
def joined() -> Any:
    """Join the other processes if `torchrun` started several."""
    if not dist.is_torchelastic_launched():
        yield Processes()
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
