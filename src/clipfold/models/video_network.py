"""What the networks that torchvision has for video share: theirs is the encoder, the last layer is ours."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from clipfold.models.network import ClipNetwork, outputs


class VideoNetwork(ClipNetwork):
    """An encoder of whole clips and a linear layer.

    Args:
        encoder: maps clips, float (batch, 3, frames, size, size), to embeddings, float (batch, width); the backbone.
        stages: its blocks, see `ClipNetwork.stages`.
        width: of an embedding.
        classes: number of classes.
        dropout: probability, before the last layer.
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
