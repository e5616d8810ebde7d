"""The interface of networks that embed single frames."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from clipfold.models.network import Colour

IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


class FrameEncoder(nn.Module):
    """A network that maps frames to embeddings.

    Args:
        network: Maps frames to embeddings.
        width: Width of an embedding.
        stages: Its blocks, see `ClipNetwork.stages`.
        mean: The colours that its weights expect, see `ClipNetwork`.
        std: Likewise.
        own_size: Edge of the frames that the network takes; None: any. Frames of another size are resized, which
            keeps the whole picture where the library would cut off its edges.

    Args (of `forward`):
        frames: Float (frames, 3, size, size), `(value / 255 - mean) / std`.

    Returns (of `forward`):
        Embeddings, float (frames, width).
    """

    def __init__(
        self,
        network: nn.Module,
        width: int,
        stages: Iterable[nn.Module] = (),
        *,
        mean: Colour = IMAGENET_MEAN,
        std: Colour = IMAGENET_STD,
        own_size: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.width, self.mean, self.std, self.own_size = width, mean, std, own_size
        self._stages = tuple(stages)

    def stages(self) -> Iterator[nn.Module]:
        """Yield its blocks, see `ClipNetwork.stages`."""
        return iter(self._stages)

    def forward(self, frames: Tensor) -> Tensor:
        embeddings: Tensor = self.network(frames if self.own_size is None else resized(frames, self.own_size))
        return embeddings


def resized(frames: Tensor, size: int) -> Tensor:
    """Resize frames, float (frames, 3, height, width), to squares of `size` pixels, unless they are."""
    if frames.shape[-1] == size:
        return frames
    return nn.functional.interpolate(frames, (size, size), mode="bicubic", antialias=True)
