"""The progress of a fit."""

import math
from dataclasses import dataclass, field


@dataclass
class Progress:
    """The progress of a fit.

    Args:
        epoch: Current epoch, from 1.
        done: Steps done in this epoch.
        step: Steps done in total.
        loss: Sum of the losses in this epoch so far.
        scale: Factor of the learning rate set by `plateau` and `on_nan`.
        rollbacks: Number of returns to a checkpoint because the loss was not finite.
        best_loss: Lowest validation loss.
        best_epoch: Epoch with the lowest validation loss.
        stale: Epochs since the validation loss last fell or the rate was last reduced.
        micro: Clips per forward pass.
        retried: Steps that ran out of memory and were repeated.
        halved: Steps that were repeated with a smaller micro-batch, and its size.
        history: A row per epoch.
    """

    epoch: int = 1
    done: int = 0
    step: int = 0
    loss: float = 0.0
    scale: float = 1.0
    rollbacks: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    stale: int = 0
    micro: int = 1
    retried: list[int] = field(default_factory=list)
    halved: list[tuple[int, int]] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
