"""Read a video model's folder as the Hugging Face hub keeps it. Standard library only.

Nothing of a folder is run. Its config is reduced to values that are known here: others could lead the library to code
elsewhere.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipfold.checks import require
from clipfold.storage.records import parse_json, read_bytes

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")

_VIT = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "patch_size": 16, "hidden_act": "gelu"}
_IMAGE = {"image_size": 224, "intermediate_size": 3072, "num_channels": 3}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "transformers/videomae": _VIT
    | _IMAGE
    | {"num_frames": 16, "tubelet_size": 2, "layer_norm_eps": 1e-12, "qv_bias": True, "use_mean_pooling": True},
    "transformers/timesformer": _VIT
    | _IMAGE
    | {"num_frames": 8, "layer_norm_eps": 1e-6, "qkv_bias": True, "attention_type": "divided_space_time"},
    "transformers/vjepa2": _VIT
    | {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    | {"crop_size": 256, "frames_per_clip": 64, "tubelet_size": 2, "in_chans": 3}
    | {"mlp_ratio": 4.0, "layer_norm_eps": 1e-6, "qkv_bias": True},
}
"""Network -> what its embeddings depend on, and the library's defaults."""

_MOST, _LAYERS, _STATES = 16384, 128, 1 << 25  # the last: numbers for the patches of a clip, as VideoMAE tabulates them
_FACTOR = 16  # largest number that is not whole: epsilons, ranges and ratios of widths, of which MLPs have 4
_ANOTHER = "use the folder of a model as its makers publish it"


def files_of(folder: str | Path) -> list[Path]:
    """Name the files that are read of a folder.

    Raises:
        ValueError: One is missing.
    """
    place = Path(folder)
    save = f"save it by the library: model.save_pretrained({str(folder)!r})"
    for name, remedy in ((CONFIG, "name a folder in the layout of the hub"), (WEIGHTS, f"pickle is not read: {save}")):
        require((place / name).is_file(), "weights", str(folder), f"it has no {name}: {remedy}")
    found = [place / name for name in PREPROCESSORS if (place / name).is_file()]
    require(bool(found), "weights", str(folder), f"it has no {' or '.join(PREPROCESSORS)}: get it from the hub, too")
    return [place / CONFIG, found[0], place / WEIGHTS]


def read_folder(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a model is, without its weights.

    Args:
        settings: `encoder`, `frames` and, as `weights`, the folder.

    Returns:
        `config`, see `CONFIGS`; `mean` and `std` of each colour; and the `licence` that its page states, if it does.

    Raises:
        ValueError: A file is missing, of another model, or holds a value that is not accepted.
    """
    network, folder = settings["encoder"], settings["weights"]
    config_file, colour_file, _ = files_of(folder)
    given, colours = _read(config_file), _read(colour_file)
    kind = network.partition("/")[2]
    require(given.get("model_type") == kind, f"{config_file}: model_type", given.get("model_type"), f"use {kind}")
    if "qkv_bias" in given:  # the library's earlier name
        given.setdefault("qv_bias", given["qkv_bias"])
    factor = colours.get("rescale_factor", 1 / 255) if colours.get("do_rescale", True) else 1.0
    require(factor == 1 / 255, f"{colour_file}: rescale_factor", factor, "use a model of values from 0 to 1")
    normal = colours.get("do_normalize", True)
    found = {
        "config": {name: given.get(name, default) for name, default in CONFIGS[network].items()},
        "mean": colours.get("image_mean") if normal else [0.0, 0.0, 0.0],
        "std": colours.get("image_std") if normal else [1.0, 1.0, 1.0],
        "licence": _licence(Path(folder, "README.md")),
    }
    check_model(settings, found)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): {_ANOTHER}") from error
    require(isinstance(found, dict), str(path), found, _ANOTHER)
    return dict(found)


def _licence(page: Path) -> str | None:
    """Return the licence in the front matter of a model's page."""
    try:
        front = read_bytes(page).decode(errors="replace").removeprefix("---").partition("\n---")[0]
    except (OSError, ValueError):
        return None
    stated = re.search(r"^license:[ \t]*[\"']?([\w.+-]{1,60})", front, re.MULTILINE | re.ASCII)
    return stated[1] if stated else None


def check_model(settings: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Check the description of a model, perhaps by a stranger, before a network of that size is built.

    Args:
        settings: `encoder` and `frames`.
        model: Result of `read_folder`.

    Raises:
        ValueError: A value is not accepted, or the model takes more frames than there are.
    """
    known, config = CONFIGS[settings["encoder"]], model.get("config")
    right = isinstance(config, Mapping) and config.keys() == known.keys()
    require(right, "encoder: config", config, f"it must have {', '.join(known)}")
    assert isinstance(config, Mapping)
    for name, default in known.items():
        value, where = config[name], f"encoder: config: {name}"
        fit = type(value) is type(default) or (type(default), type(value)) == (float, int)
        require(fit, where, value, f"use a value such as {default!r}; {_ANOTHER}")
        if type(value) is int:
            most = _LAYERS if name == "num_hidden_layers" else _MOST
            require(1 <= value <= most, where, value, f"use 1 to {most}")
        if type(value) is float:
            require(0 <= value <= _FACTOR, where, value, f"use 0 to {_FACTOR}")
    for name in ("num_channels", "in_chans"):
        require(config.get(name, 3) == 3, f"encoder: config: {name}", config.get(name), "use a model of colours")
    side = own_size(config) // config["patch_size"]
    patches = side**2 * (own_frames(config) // config.get("tubelet_size", 1))
    fit = 1 <= patches * config["hidden_size"] <= _STATES
    require(fit, "encoder: config", config, f"its clips have {patches} patches: {_ANOTHER}")
    for name, low in (("mean", 0.0), ("std", 1e-3)):
        colour = model.get(name)
        fit = (
            isinstance(colour, list)
            and len(colour) == 3
            and all(type(v) in (int, float) and low <= v <= 1 for v in colour)
        )
        require(fit, f"encoder: {name}", colour, f"use three numbers from {low} to 1; {_ANOTHER}")
    frames_taken(settings, config)


def own_size(config: Mapping[str, Any]) -> int:
    """Return the edge in pixels of the frames that a model takes."""
    return int(config["image_size"] if "image_size" in config else config["crop_size"])


def own_frames(config: Mapping[str, Any]) -> int:
    """Return the number of frames that a model was trained on."""
    return int(config["num_frames"] if "num_frames" in config else config["frames_per_clip"])


def frames_taken(settings: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Tell how many of the stored frames a model takes: its own number.

    V-JEPA 2 takes fewer where there are fewer: its rotary positions do not depend on their number.

    Raises:
        ValueError: There are fewer than it needs.
    """
    stored, own = settings["frames"], own_frames(config)
    if "frames_per_clip" in config:
        step = config["tubelet_size"]
        own = min(own, stored) // step * step or step
    remedy = f"{settings['encoder']} takes {own}: set decode.views.clips.frames: {own}"
    require(stored >= own, "frames", stored, remedy)
    return own
