"""R3D-18, a ResNet of 3-D convolutions (Tran et al. 2018), from torchvision."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torchvision.models.video import R3D_18_Weights, r3d_18

from clipfold.models.video_network import VideoNetwork
from clipfold.models.weights import find_weights, load_weights


class R3D18(VideoNetwork):
    """R3D-18; accepts any number of frames and any size."""

    mean = (0.43216, 0.394666, 0.37645)  # Kinetics-400, as for the published weights
    std = (0.22803, 0.22145, 0.216989)


def published(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the published weights, if there are any."""
    return str(R3D_18_Weights.DEFAULT.url)


def build(settings: Mapping[str, Any], classes: int) -> R3D18:
    """Build the network, with random or Kinetics weights."""
    encoder = r3d_18()
    path = find_weights(settings["weights"], published(settings), settings["download"])
    if path:
        load_weights(encoder, path, skip="fc.")
    encoder.fc = nn.Identity()
    layers = (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4)
    stages = (encoder.stem, *(block for layer in layers for block in layer))
    return R3D18(encoder, stages, 512, classes, settings["dropout"])
