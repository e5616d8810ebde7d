"""Networks on whole clips as frozen encoders: a clip has one embedding, as a frame has one of an image network."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from clipfold.models.clip_networks import CLIP_NETWORKS, HUB_NETWORKS, modules_of, sees_clips
from clipfold.models.encoders import encoder, weights_of
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.hub_folder import files_of
from clipfold.models.network import ClipNetwork
from clipfold.models.weights import find_weights


class ClipEncoder(ClipNetwork):
    """A network that maps a clip to one embedding.

    Args:
        encoder: The network.
        width: Width of an embedding.
        clips: Clips of a video, which follow each other.
    """

    def __init__(self, encoder: ClipNetwork, width: int, clips: int = 1) -> None:
        super().__init__()
        self.encoder, self.width, self.clips, self.channels_last = encoder, width, clips, encoder.channels_last
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
        settings: `encoder`, `size`, `weights`, `download`; of a network on clips `frames` and `clips`, and of one of
            transformers without weights `model`, see `clipfold.models.hub_encoder.build`.

    Raises:
        ValueError: The encoder does not accept this size, or the weights are unavailable.
    """
    if not sees_clips(settings["encoder"]):
        frames = encoder(settings["encoder"], settings["size"], settings["weights"], settings["download"])
        return FrameNetwork(frames, nn.Identity()).eval()
    if settings["encoder"] in HUB_NETWORKS:
        (module,) = modules_of(settings)
        made = import_module(module).build(settings)
        return ClipEncoder(made, made.width, settings.get("clips", 1)).eval()
    architecture, own = _architecture(settings)
    network: ClipNetwork = architecture.build(own, 2)
    linear = [layer for layer in network.get_submodule("head").modules() if isinstance(layer, nn.Linear)]
    network.set_submodule("head", nn.Identity())
    return ClipEncoder(network, linear[-1].in_features, settings.get("clips", 1)).eval()


def weights_files(settings: Mapping[str, Any], download: bool) -> list[Path]:
    """Find the files of an encoder's weights, none for random ones; arguments and errors as for `embedding_network`."""
    if settings["encoder"] in HUB_NETWORKS:
        return files_of(settings["weights"]) if settings["weights"] else []
    if settings["encoder"] in CLIP_NETWORKS:
        module, own = _architecture(settings)
        path = find_weights(settings["weights"], module.published(own), download)
    else:
        path = weights_of(settings["encoder"], settings["weights"], download)
    return [path] if path else []


def _architecture(settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    (module,), (_, variant) = modules_of(settings), CLIP_NETWORKS[settings["encoder"]]
    return import_module(module), {**settings, "variant": variant, "dropout": 0.0}
