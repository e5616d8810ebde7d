"""A ViT for each frame, then a transformer (the factorised encoder of ViViT, Arnab et al. 2021)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clipfold.models import frame_network
from clipfold.models.encoder_sizes import check_heads
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.network import outputs

_HEAD = 64
"""Values of a head, as of all ViTs."""


class Transformer(nn.Module):
    """A pre-norm transformer encoder (Vaswani et al. 2017, Xiong et al. 2020) with a class token and learned positions.

    Args:
        width: Width of an embedding.
        frames: Number of embeddings.
        depth: Number of layers.
        heads: Attention heads of each layer.
        classes: Number of classes.
        dropout: Probability in the layers and before the last one.
    """

    def __init__(self, width: int, frames: int, depth: int, heads: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.class_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, frames + 1, width), std=0.02))
        # Not nn.TransformerEncoder: it copies one layer, so that all layers would start with the same weights.
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True)
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outputs(classes)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings, float (batch, frames, width), to logits."""
        tokens = torch.cat([self.class_token.expand(embeddings.shape[0], -1, -1), embeddings], dim=1)
        logits: Tensor = self.head(self.norm(self.layers(tokens + self.positions)[:, 0]))
        return logits


def temporal(settings: Mapping[str, Any], width: int, classes: int) -> Transformer:
    """Build the module after the encoder, for embeddings of `width`."""
    heads = settings["heads"] or next(count for count in range(max(1, width // _HEAD), 0, -1) if width % count == 0)
    check_heads("heads", heads, width)
    return Transformer(width, settings["frames"], settings["depth"], heads, classes, settings["dropout"])


def build(settings: Mapping[str, Any], classes: int) -> FrameNetwork:
    """Build the network."""
    return frame_network.build(settings, classes, temporal)
