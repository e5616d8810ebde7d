"""Copy the state of a fit to host memory."""

from typing import TypeVar, cast

import torch
from torch import Tensor

State = TypeVar("State")


def on_host(state: State) -> State:
    """Copy all tensors of a state to host memory: it costs no memory of the GPU, and training may change the originals.

    Copies from a GPU go to pinned memory, so that the host waits once, not for each tensor.

    Args:
        state: Tensors and plain values, in dicts, lists and tuples.
    """
    copies = _copied(state)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.current_stream().synchronize()
    return cast(State, copies)


def _copied(value: object) -> object:
    if isinstance(value, Tensor):
        if value.device.type == "cpu":
            return value.detach().clone()
        pinned = torch.empty_like(value, device="cpu", pin_memory=True)
        return pinned.copy_(value.detach(), non_blocking=True)
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_copied, value))
    return value
