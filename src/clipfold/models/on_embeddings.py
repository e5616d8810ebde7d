"""A network on embeddings of frames that were computed once. It needs no encoder, so it loads none."""

from torch import Tensor, nn

from clipfold.models.network import ClipNetwork


class OnEmbeddings(ClipNetwork):
    """The temporal part alone, on embeddings that were computed once; its weights keep the names of the whole.

    Args:
        temporal: maps embeddings, float (batch, frames, width), to logits.
    """

    def __init__(self, temporal: nn.Module) -> None:
        super().__init__()
        self.temporal = temporal

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings to logits, see `ClipNetwork`."""
        logits: Tensor = self.temporal(embeddings)
        return logits
