"""Video models of the library transformers (Wolf et al. 2020), from a folder, as encoders of whole clips."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from clipfold.checks import MissingLibrary
from clipfold.models.frame_encoder import resized
from clipfold.models.hub_folder import WEIGHTS, check_model, frames_taken, own_size, read_folder
from clipfold.models.network import ClipNetwork
from clipfold.models.weights import read_tensors, require_fit
from clipfold.video.sampling import uniform

_CLASSES = {
    "transformers/videomae": ("VideoMAEConfig", "VideoMAEModel"),
    "transformers/timesformer": ("TimesformerConfig", "TimesformerModel"),
    "transformers/vjepa2": ("VJEPA2Config", "VJEPA2Model"),
}
"""Network -> the library's classes. No others are used: a folder cannot name one."""

_KEPT = re.compile(r"(videomae\.|timesformer\.|vjepa2\.)?((?:embeddings|encoder|layernorm)\..+)")
"""Names in files of weights; the rest is of heads and of what served to train the encoder."""


class HubEncoder(ClipNetwork):
    """A model of the library. It embeds a clip as the library's own classifiers do, before their last layers.

    VideoMAE (Tong et al. 2022) and V-JEPA 2 (Assran et al. 2025): the mean of all patches' states in the last layer.
    TimeSformer (Bertasius et al. 2021): the class token's. Frames are taken evenly, and resized as a whole.

    Args:
        settings: `encoder` and `frames`, those of the stored clips.
        model: Result of `read_folder`.

    Raises:
        MissingLibrary: The extra `transformers` is not installed.
        ValueError: The library accepts no model of this config.
    """

    def __init__(self, settings: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        super().__init__()
        check_model(settings, model)
        network, config = settings["encoder"], model["config"]
        self.width: int = config["hidden_size"]
        self.mean, self.std = tuple(model["mean"]), tuple(model["std"])
        self._size, self._taken = own_size(config), uniform(settings["frames"], frames_taken(settings, config))
        self._token = network == "transformers/timesformer"
        made = _made(network, config)
        self.network: nn.Module = made.encoder if network == "transformers/vjepa2" else made

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips, see `ClipNetwork`, to embeddings: float (batch, width)."""
        frames = clips[:, :, self._taken].transpose(1, 2).flatten(0, 1)
        videos = resized(frames, self._size).reshape(len(clips), -1, 3, self._size, self._size)
        states: Tensor = self.network(videos).last_hidden_state
        return states[:, 0] if self._token else states.mean(dim=1)


def _made(network: str, config: Mapping[str, Any]) -> Any:
    try:
        library = import_module("transformers")
    except ModuleNotFoundError:
        raise MissingLibrary("transformers is missing: pip install 'clipfold[transformers]'") from None
    of_config, of_model = (getattr(library, name) for name in _CLASSES[network])
    unused = {"pred_num_hidden_layers": 1} if network == "transformers/vjepa2" else {}  # what V-JEPA 2 learned by
    try:
        return of_model(of_config(**config, **unused))
    except Exception as error:  # a config may come from a stranger
        raise ValueError(f"encoder: config is {dict(config)}: {network} accepts no such model ({error})") from error


def build(settings: Mapping[str, Any]) -> HubEncoder:
    """Build an encoder.

    Args:
        settings: `encoder`, `frames`, and `weights`: the folder; or empty, with `model`, the result of `read_folder`,
            for random weights.

    Raises:
        MissingLibrary: The extra `transformers` is not installed.
        ValueError: The folder is not that of such a model.
    """
    if not settings["weights"]:
        return HubEncoder(settings, settings.get("model") or {})
    made = HubEncoder(settings, read_folder(settings))
    path = Path(settings["weights"], WEIGHTS)
    tensors = read_tensors(path)
    named = [found for found in map(_KEPT.fullmatch, tensors) if found]
    state = {_today(found[2], settings["encoder"]): tensors[found[0]] for found in named}
    require_fit(made.network, state, path)
    made.network.load_state_dict(state)
    return made


def _today(name: str, network: str) -> str:
    """Return the name that the library gives today to a layer of a file."""
    if network == "transformers/vjepa2":
        return name.removeprefix("encoder.")
    return name.replace(".q_bias", ".query.bias").replace(".v_bias", ".value.bias")
