"""A network on precomputed embeddings of frames, without the encoder."""

from torch import Tensor, nn

from clipfold.models.network import ClipNetwork


class OnEmbeddings(ClipNetwork):
    """The temporal module alone, on precomputed embeddings; its weights have the same names as in the whole network.

    Args:
        temporal: Maps embeddings, float (batch, frames, width), to logits.
    """

    def __init__(self, temporal: nn.Module) -> None:
        super().__init__()
        self.temporal = temporal

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings to logits, see `ClipNetwork`."""
        logits: Tensor = self.temporal(embeddings)
        return logits
