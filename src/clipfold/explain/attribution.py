"""Locate a network's evidence in a clip with integrated gradients (Sundararajan et al. 2017).

The method needs only gradients, no particular layers, so it works for every architecture.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from clipfold.models.inputs import as_input, forward
from clipfold.models.network import ClipNetwork, class_logits

STEPS = 32
BATCH = 8


def attribute(
    network: ClipNetwork, clip: Tensor, box: Tensor, target: int, steps: int = STEPS, batch: int = BATCH
) -> tuple[Tensor, float]:
    """Attribute a network's evidence for a class to the pixels of a clip.

    The path starts at a clip filled with the mean colour of the content, so that dark and bright regions both count,
    and ends at the clip itself. The padding never changes, so its attributions are 0.

    Args:
        network: In evaluation mode, on the device of the clip.
        clip: Clip as stored, `uint8` (frames, size, size, 3).
        box: Content box: top, left, height and width in pixels, int64 (4,).
        target: Index of the class.
        steps: Points on the path.
        batch: Points per forward pass.

    Returns:
        Attributions, float (frames, size, size), and the rise of the evidence along the path, which they approximately
        sum to.
    """
    stored, boxes = clip[None], box[None]
    end = as_input(network, stored).float()
    start = as_input(network, _blank(clip, box)[None]).float()
    total = torch.zeros_like(end)
    with _gradients_of_recurrent_layers(network):
        middles = (torch.arange(steps, device=clip.device) + 0.5) / steps
        for points in (middles[i : i + batch] for i in range(0, steps, batch)):
            inputs = (start + points[:, None, None, None, None] * (end - start)).requires_grad_()
            score = evidence(network, inputs, boxes.expand(len(points), 4), target).sum()
            (gradient,) = torch.autograd.grad(score, inputs)
            total += gradient.sum(dim=0, keepdim=True) / steps
    with torch.no_grad():
        rise = evidence(network, torch.cat([start, end]), boxes.expand(2, 4), target).diff().item()
    return (total * (end - start))[0].sum(dim=0), rise


@contextmanager
def _gradients_of_recurrent_layers(network: nn.Module) -> Iterator[None]:
    """Put recurrent layers into training mode, without dropout: cuDNN has no gradients of them in evaluation mode."""
    layers = [module for module in network.modules() if isinstance(module, nn.RNNBase)]
    dropouts = [layer.dropout for layer in layers]
    for layer in layers:
        layer.train()
        layer.dropout = 0.0
    try:
        yield
    finally:
        for layer, dropout in zip(layers, dropouts, strict=True):
            layer.eval()
            layer.dropout = dropout


def evidence(network: ClipNetwork, inputs: Tensor, boxes: Tensor, target: int) -> Tensor:
    """Compute the log odds of a class against all others, float (batch,); unlike a probability, it never saturates."""
    logits = class_logits(forward(network, inputs, boxes).float())
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
    return logits[:, target] - others.logsumexp(dim=1)


def _blank(clip: Tensor, box: Tensor) -> Tensor:
    top, left, height, width = box.tolist()
    blank = clip.clone()
    content = (slice(None), slice(top, top + height), slice(left, left + width))
    blank[content] = clip[content].float().mean(dim=(0, 1, 2)).round().to(torch.uint8)
    return blank
