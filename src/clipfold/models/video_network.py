"""The base of networks on clips from torchvision: their encoder, our last layer."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from clipfold.models.network import ClipNetwork, outputs


class VideoNetwork(ClipNetwork):
    """An encoder of whole clips, followed by a linear layer.

    Args:
        encoder: The backbone; maps clips, float (batch, 3, frames, size, size), to embeddings, float (batch, width).
        stages: Blocks of the encoder, see `ClipNetwork.stages`.
        width: Width of an embedding.
        classes: Number of classes.
        dropout: Probability before the last layer.
    """

    def __init__(
        self, encoder: nn.Module, stages: Iterable[nn.Module], width: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self._stages = tuple(stages)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outputs(classes)))

    def backbone(self) -> nn.Module:
        return self.encoder

    def stages(self) -> Iterator[nn.Module]:
        return iter(self._stages)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips to logits, see `ClipNetwork`."""
        logits: Tensor = self.head(self.encoder(clips))
        return logits
