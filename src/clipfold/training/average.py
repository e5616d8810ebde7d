"""A running average of a network's weights, as fast on a GPU as on a CPU."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from clipfold.models.network import ClipNetwork


class Average:
    """An exponential moving average of weights and buffers (as `torch.optim.swa_utils.AveragedModel`).

    A GPU never waits for the host, and all tensors of a type are updated at once. Counters are copied, not averaged.

    Args:
        network: The network; the average begins with a copy of it.
        decay: Share of the average that each update keeps.

    Attributes:
        network: A network with the averaged weights.
    """

    def __init__(self, network: ClipNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self._decay, self._updates = decay, 0
        self._average, self._now = _tensors(self.network), _tensors(network)

    @torch.no_grad()
    def update(self) -> None:
        """Include the network's weights of now; the first time, they are the average."""
        (average, counted), (now, counts) = self._average, self._now
        if self._updates:
            torch._foreach_lerp_(average, now, 1 - self._decay)
        else:
            torch._foreach_copy_(average, now)
        if counted:
            torch._foreach_copy_(counted, counts)
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"network": self.network.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.network.load_state_dict(state["network"])
        self._updates = state["updates"]


def _tensors(network: ClipNetwork) -> tuple[list[Tensor], list[Tensor]]:
    """List weights and statistics, and counters."""
    tensors = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]
