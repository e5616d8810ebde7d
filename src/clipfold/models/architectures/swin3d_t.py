"""Video Swin, tiny (Liu et al. 2022), as in torchvision."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torchvision.models.video import Swin3D_T_Weights, swin3d_t

from clipfold.models.video_network import VideoNetwork
from clipfold.models.weights import find_weights, load_weights


class Swin3DT(VideoNetwork):
    """Takes any number of frames and any size.

    Windows shrink to what is left of a small clip. There torchvision takes the biases of other relative positions than
    those that they were trained for, so that Kinetics weights are at their best from 224 pixels.
    """

    mean = (0.485, 0.456, 0.406)  # of ImageNet, as for the published weights
    std = (0.229, 0.224, 0.225)


def build(settings: Mapping[str, Any], classes: int) -> Swin3DT:
    """Make the network, with random or Kinetics weights."""
    encoder = swin3d_t()
    path = find_weights(settings["weights"], Swin3D_T_Weights.DEFAULT.url, settings["download"])
    if path:
        load_weights(encoder, path)
    encoder.head = nn.Identity()
    # Its features are layers of blocks, and between them what merges patches.
    stages = (part for layer in encoder.features for part in (layer if isinstance(layer, nn.Sequential) else (layer,)))
    return Swin3DT(encoder, stages, 768, classes, settings["dropout"])
