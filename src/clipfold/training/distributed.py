"""The processes that train one network together, one per graphics processor; usually there is one."""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among all.

    Gradients are added up once per step, after all its micro-batches, and only when each process has said that it had
    memory enough: with the overlapping reduction of `DistributedDataParallel`, one that ran out of memory in its
    backward pass would leave the others waiting for ever.
    """

    rank: int = 0
    world: int = 1

    @property
    def share(self) -> slice:
        """Which of a step's clips are this process's."""
        return slice(self.rank, None, self.world)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return bool(self.all_reduce_max(int(flag)))

    def all_reduce_max(self, value: int) -> int:
        """The largest of all processes' values."""
        if self.world == 1:
            return value
        votes = torch.tensor(value, device=self._device())
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return int(votes.item())

    def broadcast(self, value: float) -> float:
        """The value of the first process."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self._device())
        dist.broadcast(shared, 0)
        return float(shared.item())

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes; a process without a clip in the step has none to add."""
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

    def same_buffers(self, network: nn.Module) -> None:
        """Give all processes the first one's running statistics."""
        if self.world > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def _device(self) -> torch.device:
        return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


@contextmanager
def joined() -> Any:
    """Join the processes that `torchrun` started, if it did."""
    if not dist.is_torchelastic_launched():
        yield Processes()
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
