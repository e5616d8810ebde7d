"""A network that encodes each frame by itself, then looks at the embeddings in their order."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clipfold.models.encoders import FrameEncoder, encoder
from clipfold.models.network import ClipNetwork, Colour


class FrameNetwork(ClipNetwork):
    """An encoder on each frame, then a temporal part; the first is the backbone.

    Where the encoder is frozen, its embeddings can be computed once: `temporal(embed(clips))` are the logits.

    Args:
        encoder: maps frames to embeddings.
        temporal: maps embeddings, float (batch, frames, width), to logits.
    """

    mean: ClassVar[Colour] = FrameEncoder.mean
    std: ClassVar[Colour] = FrameEncoder.std

    def __init__(self, encoder: FrameEncoder, temporal: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.temporal = temporal

    def backbone(self) -> nn.Module:
        return self.encoder

    def stages(self) -> Iterator[nn.Module]:
        return self.encoder.stages()

    def embed(self, clips: Tensor) -> Tensor:
        """Map clips, as `forward` takes them, to embeddings: float (batch, frames, width)."""
        frames = clips.transpose(1, 2)
        embeddings: Tensor = self.encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return embeddings

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips to logits, see `ClipNetwork`."""
        logits: Tensor = self.temporal(self.embed(clips))
        return logits


def build(
    settings: Mapping[str, Any], classes: int, temporal: Callable[[Mapping[str, Any], int, int], nn.Module]
) -> FrameNetwork:
    """Make the network: the encoder that the settings name, and the architecture's `temporal` of its width."""
    with torch.random.fork_rng(devices=[]):  # the temporal part begins as it does on embeddings that are there already
        frames = encoder(settings["encoder"], settings["size"], settings["weights"], settings["download"])
    return FrameNetwork(frames, temporal(settings, frames.width, classes))
