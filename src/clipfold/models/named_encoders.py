"""The encoders that `encoders:` in the config names. Standard library only: every start reads it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipfold.checks import require, suggest
from clipfold.manifest.paths import is_address
from clipfold.models.clip_networks import CLIP_GMAC, CLIP_NETWORKS, HUB_NETWORKS, sees_clips
from clipfold.models.declare import Setting
from clipfold.models.encoder_sizes import check_size
from clipfold.models.hub_folder import read_folder
from clipfold.models.settings import ON_CLIPS, PRETRAINED

Settings = dict[str, Any]

GMAC: Mapping[str, float] = {
    "vit_micro": 0.54,
    "vit_tiny": 1.5,
    "vit_small": 3.9,
    "vit_b_16": 15.6,
    "vgg19": 25.5,
    "resnet18": 2.4,
    "mobilenet_v3_small": 0.66,
    "mobilenet_v3_large": 1.4,
}
"""clipfold's own encoders -> multiply-adds in 1e9 for 16 frames of 64 pixels, see `Architecture.gmac`."""
LIBRARY_GMAC = 32.0
"""The same of a network of a library at its own size: of 16 frames of 224 pixels by ResNet-50."""

FEATURES = "embedding"
"""Prefix of the name of a feature group of embeddings, `embedding.ENCODER`."""

ENTRY: Mapping[str, Setting] = {
    "source": Setting(
        "",
        "the network: of single frames, or, for features alone, of whole clips",
        values=f"{', '.join(GMAC)}, timm/NAME, torchvision/NAME, or of whole clips "
        f"{', '.join([*CLIP_NETWORKS, *HUB_NETWORKS])}",
    ),
    "size": Setting(
        0,
        "edge in pixels of the stored clips to read; 0: `decode.size`. Networks of a library resize them to their own",
        low=0,
        values="0 (decode.size), or 16 up to decode.size",
    ),
    "weights": Setting(
        "pretrained",
        "`pretrained`: the published file, from the cache; the path of a file, or of a folder; or empty: random",
        values="pretrained, the path of a file, or nothing",
    ),
    "download": PRETRAINED["download"],
    "precision": replace(ON_CLIPS["precision"], choices=("fp32", "bf16", "fp16")),
}
"""The settings of an entry."""

_SOURCE = re.compile(
    rf"{'|'.join([*GMAC, *CLIP_NETWORKS, *HUB_NETWORKS])}|(timm|torchvision)/[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?"
)


def plan_encoders(entries: Mapping[str, Any], largest_size: int, frames: int, clips: int = 1) -> dict[str, Settings]:
    """Complete the entries of `encoders:`.

    Args:
        entries: Name -> the source, or a mapping of `ENTRY`'s settings.
        largest_size: Edge in pixels of the stored clips.
        frames: Number of their frames.

    Returns:
        Name -> what its embeddings depend on: `encoder` (the source), `size`, `weights`, `download`, `precision`, and
        of a network on whole clips `frames`.

    Raises:
        ValueError: A name, setting or value is not accepted.
    """
    found = {}
    for name, entry in entries.items():
        where = f"encoders: {name}"
        fit = isinstance(name, str) and name.isascii() and name.isidentifier() and name not in GMAC
        require(fit, "encoders: name", name, "use letters, digits and underscores, and no name of clipfold's own")
        given = {"source": entry} if isinstance(entry, str) else entry
        require(isinstance(given, Mapping), where, entry, "name a source, or a mapping with a source")
        for key, value in given.items():
            if key not in ENTRY:
                raise ValueError(f"{where}: {key} is not a setting of an encoder: {suggest(key, ENTRY)}")
            ENTRY[key].check(f"{where}: {key}", value)
        settings = {key: setting.default for key, setting in ENTRY.items()} | dict(given)
        source = settings.pop("source")
        require(bool(_SOURCE.fullmatch(source)), f"{where}: source", source, f"use {ENTRY['source'].accepted}")
        settings["size"] = settings["size"] or largest_size
        fit = 16 <= settings["size"] <= largest_size
        require(fit, f"{where}: size", settings["size"], "use 16 up to decode.size, or raise it")
        check_size(f"{where}: size", source, settings["size"])
        if source in HUB_NETWORKS:
            named = settings["weights"] not in ("", "pretrained")
            require(
                named, f"{where}: weights", settings["weights"], "name the folder of the model, as the hub keeps it"
            )
        if sees_clips(source):
            require(frames > 1, f"{where}: source", source, "images do not move: use a network of single frames")
            settings["frames"] = frames
        found[name] = {"encoder": source} | settings | several(clips)
    return found


def several(clips: int) -> Settings:
    """Return the setting that says how many clips of a video follow each other; none for a single one."""
    return {"clips": clips} if clips > 1 else {}


def unnamed(where: str, key: str, value: Any, encoders: Mapping[str, Settings], default: Any) -> Any:
    """Return a setting of a model without the encoders that it names, for the setting's own check.

    Args:
        where: The setting, for messages.
        key: Its name.
        value: Its value in the config.
        encoders: Result of `plan_encoders`.
        default: What stands for a value that names encoders only.

    Raises:
        ValueError: A feature group of embeddings names no encoder.
    """
    if key == "encoder" and isinstance(value, str) and value in encoders:
        return default
    if key != "features" or not isinstance(value, list):
        return value
    groups = embedding_groups(value)
    have = f"use one of {', '.join(encoders)}" if encoders else "there are none yet"
    for group in groups:
        remedy = f"name the encoder in `encoders:` of the config; {have}"
        require(group.partition(".")[2] in encoders, where, group, remedy)
    return [name for name in value if name not in groups] or (default if groups else value)


def with_encoder(where: str, given: Settings, encoders: Mapping[str, Settings]) -> Settings:
    """Put a named encoder, and what its weights are, in the place of its name in the settings of a network.

    Args:
        where: The model, for messages.
        given: Its settings in the config.
        encoders: Result of `plan_encoders`.

    Raises:
        ValueError: The model says otherwise what the weights are.
    """
    name = given.get("encoder")
    if not isinstance(name, str) or name not in encoders:
        return given
    source = encoders[name]["encoder"]
    remedy = f"it embeds whole clips: use embedding.{name} among the features of a model"
    require(not sees_clips(source), f"{where}: encoder", name, remedy)
    for key in ("weights", "download"):
        require(key not in given, f"{where}: {key}", given.get(key), f"set it in encoders: {name} instead")
    return {**encoders[name], **given, "encoder": source}


def check_weights(settings: Mapping[str, Any]) -> None:
    """Check that the weights of an encoder are there, if they are in a file or a folder of this machine.

    Args:
        settings: Of the encoder, see `plan_encoders`.

    Raises:
        ValueError: There are none, or a folder is not that of such a model.
    """
    weights = settings["weights"]
    if settings["encoder"] in HUB_NETWORKS:
        read_folder(settings)
    elif weights not in (None, "", "pretrained") and not is_address(weights):
        require(Path(weights).is_file(), "weights", weights, "name an existing file, or use 'pretrained' or ''")


def embedding_groups(features: Sequence[Any]) -> list[str]:
    """List the feature groups of embeddings among those that a model names.

    >>> embedding_groups(["motion", "embedding.small"])
    ['embedding.small']
    """
    return [name for name in features if isinstance(name, str) and name.startswith(f"{FEATURES}.")]


def gmac_of(settings: Mapping[str, Any], frames: int) -> float:
    """Estimate the multiply-adds of embedding one clip, in 1e9, from `encoder` and `size`."""
    source = settings["encoder"]
    if source in HUB_NETWORKS:
        return HUB_NETWORKS[source]
    if source in CLIP_GMAC:
        return CLIP_GMAC[source] * float(settings["size"] / 112) ** 2 * frames / 16
    own = GMAC.get(source)
    return (LIBRARY_GMAC if own is None else own * (settings["size"] / 64) ** 2) * frames / 16


def encoder_key(settings: Mapping[str, Any]) -> str:
    """Name the folder of an encoder's embeddings."""
    digest = hashlib.blake2b(repr(dict(settings)).encode(), digest_size=4).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9]', '_', settings['encoder'])}_{digest}"
