"""What a network is shown: stored clips become floats on the device, where that costs least."""

import torch
from torch import Tensor

from clipfold.models.network import ClipNetwork


def unit(clips: Tensor) -> Tensor:
    """Stored clips, `uint8` (batch, frames, size, size, 3), as float (batch, 3, frames, size, size) in [0, 1]."""
    return clips.permute(0, 4, 1, 2, 3).float() / 255


def normalised(network: ClipNetwork, clips: Tensor) -> Tensor:
    """Subtract the mean and divide by the standard deviation that the network wants."""
    mean, std = (torch.tensor(value, device=clips.device)[:, None, None, None] for value in (network.mean, network.std))
    return (clips - mean) / std


def as_input(network: ClipNetwork, clips: Tensor) -> Tensor:
    """What a network takes, from clips or embeddings as they are stored."""
    return normalised(network, unit(clips)) if clips.dtype == torch.uint8 else clips.float()


def forward(network: ClipNetwork, inputs: Tensor, boxes: Tensor) -> Tensor:
    """Logits, with the boxes where the network wants them."""
    logits: Tensor = network(inputs, boxes) if network.takes_boxes else network(inputs)
    return logits
