"""Set up the optimizer, learning rate schedule and freezing of the backbone."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from clipfold.models.network import ClipNetwork, set_frozen


def make_optimizer(network: ClipNetwork, settings: Mapping[str, Any], device: torch.device) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov & Hutter 2019) or SGD with Nesterov momentum, fused into one kernel if possible.

    Biases and normalisation weights do not decay. The backbone learns at `learning_rate` times `backbone_rate`.
    """
    backbone = network.backbone()
    inner = set() if backbone is None else {id(p) for p in backbone.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        groups.setdefault((id(parameter) in inner, parameter.ndim > 1), []).append(parameter)
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    options = [
        {
            "params": parameters,
            "initial_lr": rate * (settings["backbone_rate"] if in_backbone else 1),
            "lr": rate,
            "weight_decay": decay if decays else 0.0,
        }
        for (in_backbone, decays), parameters in groups.items()
    ]
    fused = device.type in ("cpu", "cuda")
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(options, lr=rate, momentum=0.9, nesterov=True, fused=fused)
    return torch.optim.AdamW(options, lr=rate, fused=fused)


def make_state(optimizer: torch.optim.Optimizer) -> None:
    """Allocate the optimizer's state for each parameter with a gradient, if it has none yet.

    If memory ran out during an update, between two groups of parameters, the first would have changed and the step
    could not be repeated.
    """
    moments = ("exp_avg", "exp_avg_sq") if isinstance(optimizer, torch.optim.AdamW) else ("momentum_buffer",)
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        if parameter.grad is not None and parameter not in optimizer.state:
            made = {name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in moments}
            if isinstance(optimizer, torch.optim.AdamW):
                made["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            optimizer.state[parameter] = made


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of each group to `factor` times its initial one."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def rate_factor(settings: Mapping[str, Any], step: int, steps: int) -> float:
    """Compute the factor of the learning rate at a step of `steps`, by `schedule`; for `plateau` only the warm-up."""
    warmup = round(float(settings["warmup"]) * steps)
    if settings["schedule"] == "cosine":
        return warmup_cosine(step, steps, warmup)
    return min(1.0, (step + 1) / max(1, warmup))


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """Rise linearly to 1 over `warmup` steps, then fall to 0 in a half cosine (Loshchilov & Hutter 2017).

    >>> [round(warmup_cosine(s, 10, 2), 2) for s in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def freeze(network: ClipNetwork, settings: Mapping[str, Any], epoch: int) -> None:
    """Freeze or unfreeze the backbone, if there is one, by `freeze` and `unfreeze_at`."""
    if network.backbone() is not None:
        set_frozen(network, settings["freeze"] and not 0 < settings["unfreeze_at"] <= epoch)
