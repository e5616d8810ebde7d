"""Measure the memory of a fit: the largest micro-batch that fits, tensors by kind, and the peak of each stage."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from clipfold.storage.memory import peak_memory_mb


def largest_that_fits(fits: Callable[[int], bool], most: int) -> int:
    """Find the largest micro-batch that fits, by doubling, then bisection; 0 if a single clip does not.

    >>> largest_that_fits(lambda n: n <= 11, most=32)
    11
    """
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class Peaks:
    """Peak memory at the end of each stage in MB: of the host since the start, of the GPU within the stage."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.stages: dict[str, dict[str, float]] = {}

    def note(self, stage: str) -> None:
        """Record the peak at the end of a stage."""
        self.stages[stage] = {"host_mb": round(peak_memory_mb(), 1)}
        if self._device.type == "cuda":
            self.stages[stage]["device_mb"] = round(torch.cuda.max_memory_allocated(self._device) / 1024**2, 1)
            torch.cuda.reset_peak_memory_stats(self._device)

    def share(self, stage: str) -> float | None:
        """Return the largest share of the GPU's memory that a stage used; None on a CPU."""
        if self._device.type != "cuda":
            return None
        total = torch.cuda.get_device_properties(self._device).total_memory / 1024**2
        return float(round(self.stages[stage]["device_mb"] / total, 3))


def owners(
    network: nn.Module, optimizer: torch.optim.Optimizer, others: dict[str, Iterable[Tensor]]
) -> dict[str, float]:
    """Measure the memory of tensors by kind, in MB, largest first."""
    parameters = list(network.parameters())
    state = [v for values in optimizer.state.values() for v in values.values() if isinstance(v, Tensor)]
    found: dict[str, Iterable[Tensor]] = {
        "parameters": parameters,
        "gradients": [p.grad for p in parameters if p.grad is not None],
        "optimizer": state,
        "buffers": network.buffers(),
        **others,
    }
    sizes = {name: sum(t.numel() * t.element_size() for t in tensors) / 1024**2 for name, tensors in found.items()}
    return {name: round(size, 2) for name, size in sorted(sizes.items(), key=lambda item: -item[1])}


def activations(network: nn.Module, forward: Callable[[], Any], most: int = 10) -> dict[str, float]:
    """Measure the outputs of modules in one forward pass, in MB by module name: the `most` largest, largest first."""
    sizes: dict[str, float] = {}
    hooks = []
    for name, module in network.named_modules():
        if name and not list(module.children()):

            def note(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
                if isinstance(output, Tensor):
                    sizes[name] = sizes.get(name, 0) + output.numel() * output.element_size() / 1024**2

            hooks.append(module.register_forward_hook(note))
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: round(size, 2) for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:most]}
