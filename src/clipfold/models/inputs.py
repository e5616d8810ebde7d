"""What a network is shown: stored clips become floats on the device, where that costs least."""

from functools import lru_cache

import torch
from torch import Tensor

from clipfold.models.network import ClipNetwork, Colour


def unit(clips: Tensor) -> Tensor:
    """Stored clips, `uint8` (batch, frames, size, size, 3), as float (batch, 3, frames, size, size) in [0, 1]."""
    return clips.permute(0, 4, 1, 2, 3).float() / 255


def normalised(network: ClipNetwork, clips: Tensor) -> Tensor:
    """Subtract the mean and divide by the standard deviation that the network wants."""
    mean, std = (torch.tensor(value, device=clips.device)[:, None, None, None] for value in (network.mean, network.std))
    return (clips - mean) / std


def as_input(network: ClipNetwork, clips: Tensor) -> Tensor:
    """What a network takes, from clips or embeddings as they are stored."""
    if clips.dtype != torch.uint8:
        return clips.float()
    # In the order that pixels are stored in, and in place, this takes a quarter of the time of `normalised` on a CPU.
    width = clips.shape[3]
    factor, shift = _line(network.mean, network.std, width, clips.device)
    lines = clips.flatten(3).float().mul_(factor).add_(shift)
    return lines.view(clips.shape).permute(0, 4, 1, 2, 3)


@lru_cache(maxsize=4)
def _line(mean: Colour, std: Colour, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and shift of a line of pixels, (width * 3,); copied to the device once, not at each step."""
    with torch.inference_mode(False):
        factor = torch.tensor([1 / (255 * s) for s in std], device=device).repeat(width)
        shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device).repeat(width)
    return factor, shift


def forward(network: ClipNetwork, inputs: Tensor, boxes: Tensor) -> Tensor:
    """Logits, with the boxes where the network wants them."""
    logits: Tensor = network(inputs, boxes) if network.takes_boxes else network(inputs)
    return logits
