"""Networks on whole clips as frozen encoders: a clip has one embedding, as a frame has one of an image network."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from clipfold.models.clip_networks import CLIP_NETWORKS, modules_of
from clipfold.models.encoders import encoder, weights_of
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.network import ClipNetwork
from clipfold.models.weights import find_weights


class ClipEncoder(ClipNetwork):
    """A network on clips without its last layer.

    Args:
        encoder: The network, with a last layer `head`, which is removed.
        clips: Clips of a video, which follow each other.

    Attributes:
        width: Width of an embedding.
    """

    def __init__(self, encoder: ClipNetwork, clips: int = 1) -> None:
        super().__init__()
        self.clips = clips
        linear = [module for module in encoder.get_submodule("head").modules() if isinstance(module, nn.Linear)]
        self.width = linear[-1].in_features
        encoder.set_submodule("head", nn.Identity())
        self.encoder, self.channels_last = encoder, encoder.channels_last
        self.mean, self.std = encoder.mean, encoder.std

    def embed(self, clips: Tensor) -> Tensor:
        """Map the clips of videos, shaped as for `forward`, to embeddings: float (batch, clips, width)."""
        videos, channels, frames, *size = clips.shape
        each = clips.view(videos, channels, self.clips, frames // self.clips, *size).movedim(2, 1).flatten(0, 1)
        embeddings: Tensor = self.encoder(each)
        return embeddings.view(videos, self.clips, -1)


def embedding_network(settings: Mapping[str, Any]) -> FrameNetwork | ClipEncoder:
    """Build a network that embeds clips by `embed`, for evaluation.

    Args:
        settings: `encoder`, `size`, `weights`, `download` and, of a network on clips, `frames` and `clips`.

    Raises:
        ValueError: The encoder does not accept this size, or the weights are unavailable.
    """
    if settings["encoder"] not in CLIP_NETWORKS:
        frames = encoder(settings["encoder"], settings["size"], settings["weights"], settings["download"])
        return FrameNetwork(frames, nn.Identity()).eval()
    module, own = _architecture(settings)
    return ClipEncoder(module.build(own, 2), settings.get("clips", 1)).eval()


def weights_file(settings: Mapping[str, Any], download: bool) -> Path | None:
    """Find the weights of an encoder, None for random ones; `settings` and errors as for `embedding_network`."""
    if settings["encoder"] not in CLIP_NETWORKS:
        return weights_of(settings["encoder"], settings["weights"], download)
    module, own = _architecture(settings)
    return find_weights(settings["weights"], module.published(own), download)


def _architecture(settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    (module,), (_, variant) = modules_of(settings), CLIP_NETWORKS[settings["encoder"]]
    return import_module(module), {**settings, "variant": variant, "dropout": 0.0}
