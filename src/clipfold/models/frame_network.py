"""A network that encodes each frame separately, then processes the sequence of embeddings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clipfold.models.encoders import encoder
from clipfold.models.fine_tuning import unfrozen_parts
from clipfold.models.frame_encoder import FrameEncoder
from clipfold.models.network import ClipNetwork


class FrameNetwork(ClipNetwork):
    """An encoder for each frame, the backbone, followed by a temporal module.

    The embeddings of a frozen encoder can be computed once: `temporal(embed(clips))` gives the logits.

    Args:
        encoder: Maps frames to embeddings.
        temporal: Maps embeddings, float (batch, frames, width), to logits.
        unfrozen: Parts of the encoder that learn even while it is frozen.
    """

    def __init__(self, encoder: FrameEncoder, temporal: nn.Module, unfrozen: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.encoder = encoder
        self.mean, self.std = encoder.mean, encoder.std
        self.temporal = temporal
        self._unfrozen = tuple(unfrozen)

    @property
    def width(self) -> int:
        """Width of an embedding."""
        return self.encoder.width

    def backbone(self) -> nn.Module:
        return self.encoder

    def unfrozen(self) -> Iterator[nn.Module]:
        return iter(self._unfrozen)

    def stages(self) -> Iterator[nn.Module]:
        return self.encoder.stages()

    def embed(self, clips: Tensor) -> Tensor:
        """Map clips, shaped as for `forward`, to embeddings: float (batch, frames, width)."""
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
    """Build the network: the encoder in the settings, and the architecture's `temporal` module for its width."""
    with torch.random.fork_rng(devices=[]):  # the temporal module starts as it does on precomputed embeddings
        frames = encoder(settings["encoder"], settings["size"], settings["weights"], settings["download"])
        # Records of earlier versions have neither.
        unfrozen = unfrozen_parts(frames, settings.get("unfreeze_blocks", 0), settings.get("lora_rank", 0))
    return FrameNetwork(frames, temporal(settings, frames.width, classes), unfrozen)
