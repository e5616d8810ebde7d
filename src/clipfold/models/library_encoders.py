"""Image networks of timm and torchvision as encoders, each with its own colours and size."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from clipfold.checks import require
from clipfold.models.fine_tuning import blocks_of
from clipfold.models.frame_encoder import FrameEncoder
from clipfold.models.weights import find_weights, load_weights

_HUB_FILE = "model.safetensors"


def library_encoder(name: str, weights: str, download: bool) -> FrameEncoder:
    """Build an encoder.

    Args:
        name: `timm/NAME` or `torchvision/NAME`.
        weights: See `library_weights`.
        download: Likewise.

    Raises:
        ValueError: The library has no such network, or the weights are unavailable or of another network.
    """
    library, network = _parts(name)
    path = library_weights(name, weights, download)
    return _timm(network, path) if library == "timm" else _torchvision(network, path)


def library_weights(name: str, weights: str, download: bool) -> Path | None:
    """Find the weights of a network.

    Args:
        name: `timm/NAME` or `torchvision/NAME`.
        weights: Empty for random weights, `pretrained` for the published file, or the path of a file.
        download: Download the published file if the library's own cache has none.

    Raises:
        ValueError: There is no such file; the message says where to get it.
    """
    library, network = _parts(name)
    if library == "torchvision":
        return find_weights(weights, _published(network).url, download)
    if weights != "pretrained":
        return find_weights(weights, None, download)
    hub = _timm_config(network).hf_hub_id
    require(bool(hub), "weights", weights, f"timm publishes none of {network} on its hub: name a file")
    try:
        fetch = import_module("huggingface_hub").hf_hub_download
        return Path(fetch(hub, _HUB_FILE, local_files_only=not download))
    except (OSError, ValueError) as error:  # what it raises for a file that is not there is one of these
        remedy = f"the hub's cache has no {_HUB_FILE} of {hub}: set download: true, or name a file"
        raise ValueError(f"weights is 'pretrained': {remedy} ({type(error).__name__})") from error


def licence_of(name: str) -> str | None:
    """Return the licence that a library states for its published weights, if it does."""
    library, network = _parts(name)
    return _timm_config(network).license if library == "timm" else None


def _parts(name: str) -> tuple[str, str]:
    """Split a name. Names of other forms make timm read from elsewhere: a record may be a stranger's."""
    known = re.fullmatch(r"(timm|torchvision)/(\w+(?:\.\w+)?)", name, re.ASCII)
    require(known is not None, "encoder", name, "use timm/NAME or torchvision/NAME")
    assert known is not None
    return known[1], known[2]


def _timm_config(network: str) -> Any:
    try:
        config = import_module("timm").get_pretrained_cfg(network)
    except RuntimeError:  # it has the network, but no weights of this tag
        config = None
    remedy = "timm has no network or weights of that name: look them up by timm.list_models()"
    require(config is not None, "encoder", f"timm/{network}", remedy)
    return config


def _timm(network: str, path: Path | None) -> FrameEncoder:
    timm, config = import_module("timm"), _timm_config(network)
    made: nn.Module = timm.create_model(network, pretrained=False)
    if path:
        last = [config.classifier] if isinstance(config.classifier, str) else [*(config.classifier or ())]
        load_weights(made, path, skip=tuple(f"{layer}." for layer in last))
    own: Any = made
    data = timm.data.resolve_model_data_config(made)
    own.reset_classifier(0)
    return _encoder(
        made, getattr(own, "head_hidden_size", None) or own.num_features, [*blocks_of(made)], data["input_size"], data
    )


def _published(network: str) -> Any:
    """Return what torchvision publishes for a network of images."""
    images = import_module("torchvision.models")
    listed = network in images.list_models(module=images)
    remedy = "torchvision has no network of images of that name: look them up by torchvision.models.list_models()"
    require(listed, "encoder", f"torchvision/{network}", remedy)
    return images.get_model_weights(network).DEFAULT


def _torchvision(network: str, path: Path | None) -> FrameEncoder:
    published = _published(network)
    made: nn.Module = import_module("torchvision.models").get_model(network, weights=None)
    linear = [name for name, module in made.named_modules() if isinstance(module, nn.Linear)]
    require(bool(linear), "encoder", f"torchvision/{network}", "its last layer is not linear: use another network")
    if path:
        load_weights(made, path, rename=_today, skip=f"{linear[-1]}.")
    width = made.get_submodule(linear[-1]).in_features
    head = {*made.get_submodule(linear[-1].partition(".")[0]).modules()}
    blocks = [block for block in blocks_of(made) if block not in head]
    made.set_submodule(linear[-1], nn.Identity())
    seen = published.transforms()
    (size,) = {*seen.crop_size}
    return _encoder(made, width, blocks, (3, size, size), {"mean": tuple(seen.mean), "std": tuple(seen.std)})


def _today(key: str) -> str:
    """Return the name that torchvision gives today to a layer of an older file."""
    key = re.sub(r"\.mlp\.linear_1\.", ".mlp.0.", re.sub(r"\.mlp\.linear_2\.", ".mlp.3.", key))
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key)


def _encoder(
    network: nn.Module, width: Any, blocks: list[nn.Module], size: tuple[int, int, int], colours: dict[str, Any]
) -> FrameEncoder:
    square = size[0] == 3 and size[1] == size[2]
    require(square, "encoder", f"frames of {size}", "use a network of square pictures with three colours")
    return FrameEncoder(network, int(width), blocks, mean=colours["mean"], std=colours["std"], own_size=size[1])
