"""A ViT for each frame, then a gated recurrent unit."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from clipfold.models import frame_network
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.network import outputs


class GRU(nn.Module):
    """A GRU (Cho et al. 2014) and a linear layer on the last state or the mean of all states.

    Args:
        width: Width of an embedding.
        hidden: Width of a state.
        layers: Number of GRU layers.
        state: The state to classify: `last` or `mean`.
        classes: Number of classes.
        dropout: Probability between layers and before the last one.
    """

    def __init__(self, width: int, hidden: int, layers: int, state: str, classes: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(width, hidden, layers, batch_first=True, dropout=between)
        self.state = state
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, outputs(classes)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings, float (batch, frames, width), to logits."""
        states, _ = self.gru(embeddings)
        logits: Tensor = self.head(states[:, -1] if self.state == "last" else states.mean(dim=1))
        return logits


def temporal(settings: Mapping[str, Any], width: int, classes: int) -> GRU:
    """Build the module after the encoder, for embeddings of `width`."""
    return GRU(width, settings["hidden"], settings["layers"], settings["state"], classes, settings["dropout"])


def build(settings: Mapping[str, Any], classes: int) -> FrameNetwork:
    """Build the network."""
    return frame_network.build(settings, classes, temporal)
