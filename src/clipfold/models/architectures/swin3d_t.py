"""Video Swin-T (Liu et al. 2022) from torchvision."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torchvision.models.video import Swin3D_T_Weights, swin3d_t

from clipfold.models.video_network import VideoNetwork
from clipfold.models.weights import find_weights, load_weights


class Swin3DT(VideoNetwork):
    """Video Swin-T; accepts any number of frames and any size.

    Windows shrink to the size of a small clip, and torchvision then applies the biases of other relative positions than
    those they were trained for. Kinetics weights therefore work best from 224 pixels.
    """

    mean = (0.485, 0.456, 0.406)  # ImageNet, as for the published weights
    std = (0.229, 0.224, 0.225)


def published(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the published weights, if there are any."""
    return str(Swin3D_T_Weights.DEFAULT.url)


def build(settings: Mapping[str, Any], classes: int) -> Swin3DT:
    """Build the network, with random or Kinetics weights."""
    encoder = swin3d_t()
    path = find_weights(settings["weights"], published(settings), settings["download"])
    if path:
        load_weights(encoder, path)
    encoder.head = nn.Identity()
    # Its features alternate between layers of blocks and modules that merge patches.
    stages = (part for layer in encoder.features for part in (layer if isinstance(layer, nn.Sequential) else (layer,)))
    return Swin3DT(encoder, stages, 768, classes, settings["dropout"])
