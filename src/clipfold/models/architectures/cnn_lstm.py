"""A CNN for each frame, then a bidirectional LSTM with attention over its states."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from clipfold.models import frame_network
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.network import outputs


class AttentiveLSTM(nn.Module):
    """A bidirectional LSTM (Hochreiter & Schmidhuber 1997) and a linear layer on the weighted mean of its states.

    The weights are those of additive attention: softmax of v^T tanh(W state) over the frames (Bahdanau et al. 2015).

    Args:
        width: Width of an embedding.
        hidden: Width of a state, in each direction.
        layers: Number of LSTM layers.
        classes: Number of classes.
        dropout: Probability between layers and before the last one.
    """

    def __init__(self, width: int, hidden: int, layers: int, classes: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=between, bidirectional=True)
        self.score = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * hidden, outputs(classes)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings, float (batch, frames, width), to logits."""
        states, _ = self.lstm(embeddings)
        logits: Tensor = self.head((self.score(states).softmax(dim=1) * states).sum(dim=1))
        return logits


def temporal(settings: Mapping[str, Any], width: int, classes: int) -> AttentiveLSTM:
    """Build the module after the encoder, for embeddings of `width`."""
    return AttentiveLSTM(width, settings["hidden"], settings["layers"], classes, settings["dropout"])


def build(settings: Mapping[str, Any], classes: int) -> FrameNetwork:
    """Build the network."""
    return frame_network.build(settings, classes, temporal)
