"""Turn stored clips into the input of a network, on the device, and its output into probabilities."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipfold.models.device import Precision
from clipfold.models.network import ClipNetwork, Colour, class_logits


def unit(clips: Tensor) -> Tensor:
    """Convert clips from `uint8` (batch, frames, size, size, 3) to float (batch, 3, frames, size, size) in [0, 1]."""
    return clips.permute(0, 4, 1, 2, 3).float() / 255


def normalised(network: ClipNetwork, clips: Tensor) -> Tensor:
    """Subtract the mean and divide by the standard deviation that the network was designed for."""
    mean, std = _colours(network.mean, network.std, clips.device)
    return _laid_out(network, (clips - mean) / std)


def as_input(network: ClipNetwork, clips: Tensor) -> Tensor:
    """Convert stored clips or embeddings to what a network takes."""
    if clips.dtype != torch.uint8:
        return clips.float()
    # In the stored order of pixels, and in place, this takes a quarter of the time of `normalised` on a CPU.
    width = clips.shape[3]
    factor, shift = _line(network.mean, network.std, width, clips.device)
    lines = clips.flatten(3).float().mul_(factor).add_(shift)
    return _laid_out(network, lines.view(clips.shape).permute(0, 4, 1, 2, 3))


def _laid_out(network: ClipNetwork, clips: Tensor) -> Tensor:
    """Convolutions compute in the layout of their input, whatever that of their weights."""
    return clips if network.channels_last else clips.contiguous()


@lru_cache(maxsize=4)
def _colours(mean: Colour, std: Colour, device: torch.device) -> tuple[Tensor, Tensor]:
    """Build the mean and standard deviation of each colour, (3, 1, 1, 1); copied to the device once."""
    with torch.inference_mode(False):
        return tuple(torch.tensor(value, device=device)[:, None, None, None] for value in (mean, std))  # type: ignore[return-value]


@lru_cache(maxsize=4)
def _line(mean: Colour, std: Colour, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Build the factor and shift of a line of pixels, (width * 3,); copied to the device once, not in each step."""
    with torch.inference_mode(False):
        factor = torch.tensor([1 / (255 * s) for s in std], device=device).repeat(width)
        shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device).repeat(width)
    return factor, shift


def forward(network: ClipNetwork, inputs: Tensor, boxes: Tensor) -> Tensor:
    """Compute the logits, passing the content boxes to networks that take them."""
    logits: Tensor = network(inputs, boxes) if network.takes_boxes else network(inputs)
    return logits


def class_probabilities(
    network: ClipNetwork, clips: Tensor, boxes: Tensor, precision: Precision, views: int = 1
) -> Tensor:
    """Predict one batch.

    Args:
        network: In evaluation mode, on the device of the batch.
        clips: Clips as stored, `uint8` (batch, frames, size, size, 3), or embeddings (batch, frames, width).
        boxes: Content box of each clip, int64 (batch, 4).
        precision: Precision of the forward pass.
        views: Views of each clip whose probabilities are averaged: 1, the clip; 2, also its mirror image; 4, also the
            middle of both, enlarged.

    Returns:
        float32 (batch, classes); rows sum to 1.
    """
    probabilities = _of_view(network, clips, boxes, precision)
    for change in (_mirrored, _enlarged, _mirrored)[: views - 1]:
        clips, boxes = change(clips, boxes)
        probabilities = probabilities + _of_view(network, clips, boxes, precision)
    return probabilities / views if views > 1 else probabilities


def _mirrored(clips: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    top, left, height, width = boxes.T
    return clips.flip(3), torch.stack([top, clips.shape[3] - left - width, height, width], dim=1)


def _enlarged(clips: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Enlarge the middle, seven eighths of each edge, to the whole picture."""
    size = clips.shape[3]
    margin = size // 16
    middle = clips[:, :, margin : size - margin, margin : size - margin].permute(0, 1, 4, 2, 3).float()
    weights = _weights(size - 2 * margin, size, clips.device)
    made = (weights.T @ middle @ weights + 0.5).to(clips.dtype).permute(0, 1, 3, 4, 2)
    corners = torch.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]) - margin
    first, last = (corners * size).div(size - 2 * margin, rounding_mode="floor").clamp(0, size)
    first = first.clamp(max=size - 1)
    return made, torch.cat([first, (last - first).clamp(min=1)], dim=1)


@lru_cache(maxsize=4)
def _weights(short: int, long: int, device: torch.device) -> Tensor:
    """Build the weights of bilinear interpolation, (short, long); exported networks multiply, and never resize."""
    with torch.inference_mode(False):
        return interpolate(torch.eye(short, device=device)[None], long, mode="linear")[0]


def _of_view(network: ClipNetwork, clips: Tensor, boxes: Tensor, precision: Precision) -> Tensor:
    with precision.autocast():
        logits = forward(network, as_input(network, clips), boxes)
    return class_logits(logits.float()).softmax(dim=1)
