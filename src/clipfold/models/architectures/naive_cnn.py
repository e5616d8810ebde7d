"""A plain 3-D CNN, trained from scratch: the baseline for every larger network."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from clipfold.models.network import ClipNetwork, outputs


class NaiveCNN(ClipNetwork):
    """Four blocks of 3x3x3 convolution, batch normalisation and ReLU (as in C3D, Tran et al. 2015, but far smaller).

    Args:
        classes: Number of classes.
        width: Channels of the first block; each block doubles them.
        dropout: Probability before the last layer.
    """

    def __init__(self, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        strides = [(1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)]
        self.blocks = nn.Sequential(*(_block(*io, s) for io, s in zip(pairwise(channels), strides, strict=True)))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels[-1], outputs(classes)))

    def stages(self) -> Iterator[nn.Module]:
        return iter(self.blocks)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips to logits, see `ClipNetwork`."""
        logits: Tensor = self.head(self.blocks(clips).mean(dim=(2, 3, 4)))
        return logits


def _block(width_in: int, width_out: int, stride: tuple[int, int, int]) -> nn.Sequential:
    convolution = nn.Conv3d(width_in, width_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(width_out), nn.ReLU(inplace=True))


def build(settings: Mapping[str, Any], classes: int) -> NaiveCNN:
    """Build the network, with random weights."""
    return NaiveCNN(classes, settings["width"], settings["dropout"])
