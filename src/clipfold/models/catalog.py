"""What each architecture is called, takes, defaults to and needs. Standard library only: every start reads it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from clipfold.checks import require
from clipfold.models.feature_settings import check_values
from clipfold.models.training_settings import CHOICES, DEFAULTS, check_ranges

Settings = dict[str, Any]
Input = Literal["features", "clips", "predictions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one job of a model asks the machine or cluster for.

    Args:
        memory_mb: host memory in MB.
        gpus: graphics processors; a job that finds none runs on the CPU.
        threads: CPU cores.
        runtime: minutes.
    """

    memory_mb: int
    gpus: int
    threads: int
    runtime: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """An architecture: the code behind models.

    Args:
        module: where its code is; loaded by name, so that its fingerprint leaves out the other architectures.
        input: what it learns from: `features` (a row per video), `clips` (sampled frames), `predictions` (of others).
        settings: every setting it takes, with its default.
        needs: what a job of it asks for by default.
        choices: the values that a setting has to be one of.
    """

    module: str
    input: Input
    settings: Mapping[str, Any]
    needs: Resources
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """An entry of `models:` in the config, complete.

    Args:
        name: unique; names the rule and the result folder.
        architecture: name of its architecture.
        settings: all settings, defaults filled in; plain types only.
        needs: what one of its jobs asks for.
        fixed: which of them the entry names; the others may be learned.
    """

    name: str
    architecture: str
    settings: Settings
    needs: Resources
    fixed: frozenset[str] = frozenset()

    @property
    def module(self) -> str:
        return ARCHITECTURES[self.architecture].module

    @property
    def input(self) -> Input:
        return ARCHITECTURES[self.architecture].input

    @property
    def encoder(self) -> Settings | None:
        """Of a network whose frame encoder never changes, what its embeddings depend on; they are computed once."""
        fixed = self.settings.get("freeze") and not self.settings["unfreeze_at"]
        changed = any(self.settings.get(name) for name in ("flip", "jitter", "mixup")) or self.settings.get("crop") != 1
        if "encoder" not in self.settings or not fixed or changed:
            return None
        return {name: self.settings[name] for name in ("encoder", "size", "weights", "download")}


_FEATURES: Settings = {"features": ["motion", "noise"], "class_weight": "balanced"}

# `weights` is "" (random), "pretrained" (the published file, from PyTorch's cache or downloaded) or a file. `freeze`
# keeps the backbone's weights, up to the epoch `unfreeze_at` (0: to the end); `backbone_rate` is a factor of its rate.
_PRETRAINED: Settings = {"weights": "", "download": False, "freeze": False, "unfreeze_at": 0, "backbone_rate": 1.0}

# From random weights, transformers learn less at the rate of the others.
_TRANSFORMER: Settings = {"learning_rate": 3e-4}

_VITS = ("vit_micro", "vit_tiny", "vit_small", "vit_b_16")
_CNNS = ("vgg19", "resnet18", "mobilenet_v3_small", "mobilenet_v3_large")

ARCHITECTURES: Mapping[str, Architecture] = {
    "logistic_regression": Architecture(
        module="clipfold.models.architectures.logistic_regression",
        input="features",
        settings=_FEATURES | {"C": 1.0},
        needs=Resources(memory_mb=2000, gpus=0, threads=1, runtime=30),
    ),
    "svm": Architecture(
        module="clipfold.models.architectures.svm",
        input="features",
        settings=_FEATURES | {"C": 1.0, "kernel": "rbf", "gamma": "scale"},
        needs=Resources(memory_mb=2000, gpus=0, threads=1, runtime=60),
    ),
    "naive_cnn": Architecture(
        module="clipfold.models.architectures.naive_cnn",
        input="clips",
        settings=DEFAULTS | {"size": 64, "width": 16},
        needs=Resources(memory_mb=4000, gpus=1, threads=2, runtime=240),
    ),
    "slowfast": Architecture(
        module="clipfold.models.architectures.slowfast",
        input="clips",
        settings=DEFAULTS | _PRETRAINED | {"variant": "small", "dropout": 0.5},
        needs=Resources(memory_mb=8000, gpus=1, threads=2, runtime=480),
        choices={"variant": ("small", "r50_8x8")},
    ),
    "x3d": Architecture(
        module="clipfold.models.architectures.x3d",
        input="clips",
        settings=DEFAULTS | _PRETRAINED | {"variant": "m", "dropout": 0.5},
        needs=Resources(memory_mb=8000, gpus=1, threads=2, runtime=480),
        choices={"variant": ("xs", "s", "m")},
    ),
    "vit_gru": Architecture(
        module="clipfold.models.architectures.vit_gru",
        input="clips",
        settings=DEFAULTS
        | _PRETRAINED
        | _TRANSFORMER
        | {"size": 64, "encoder": "vit_micro", "hidden": 128, "layers": 1, "state": "mean"},
        needs=Resources(memory_mb=6000, gpus=1, threads=2, runtime=480),
        choices={"encoder": _VITS, "state": ("last", "mean")},
    ),
    "vit_transformer": Architecture(
        module="clipfold.models.architectures.vit_transformer",
        input="clips",
        settings=DEFAULTS | _PRETRAINED | _TRANSFORMER | {"size": 64, "encoder": "vit_micro", "depth": 2, "heads": 3},
        needs=Resources(memory_mb=6000, gpus=1, threads=2, runtime=480),
        choices={"encoder": _VITS},
    ),
    "cnn_lstm": Architecture(
        module="clipfold.models.architectures.cnn_lstm",
        input="clips",
        settings=DEFAULTS | _PRETRAINED | {"size": 64, "encoder": "resnet18", "hidden": 128, "layers": 1},
        needs=Resources(memory_mb=6000, gpus=1, threads=2, runtime=480),
        choices={"encoder": _CNNS},
    ),
    "r3d_18": Architecture(
        module="clipfold.models.architectures.r3d_18",
        input="clips",
        settings=DEFAULTS | _PRETRAINED,
        needs=Resources(memory_mb=8000, gpus=1, threads=2, runtime=480),
    ),
    "mvit_v2_s": Architecture(
        module="clipfold.models.architectures.mvit_v2_s",
        input="clips",
        settings=DEFAULTS | _PRETRAINED | _TRANSFORMER | {"dropout": 0.5},
        needs=Resources(memory_mb=8000, gpus=1, threads=2, runtime=480),
    ),
    "swin3d_t": Architecture(
        module="clipfold.models.architectures.swin3d_t",
        input="clips",
        settings=DEFAULTS | _PRETRAINED | _TRANSFORMER,
        needs=Resources(memory_mb=8000, gpus=1, threads=2, runtime=480),
    ),
    "variable_ar_cnn": Architecture(
        module="clipfold.models.architectures.variable_ar_cnn",
        input="clips",
        settings=DEFAULTS | {"width": 16},
        needs=Resources(memory_mb=4000, gpus=1, threads=2, runtime=240),
    ),
    "feature_mlp": Architecture(
        module="clipfold.models.architectures.feature_mlp",
        input="features",
        settings=_FEATURES | {"hidden": [64, 32], "alpha": 1.0},
        needs=Resources(memory_mb=2000, gpus=0, threads=1, runtime=60),
    ),
    "gradient_boosting": Architecture(
        module="clipfold.models.architectures.gradient_boosting",
        input="features",
        settings=_FEATURES
        | {
            "learning_rate": 0.1,
            "max_iter": 100,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 5,
            "l2_regularization": 0.0,
        },
        needs=Resources(memory_mb=2000, gpus=0, threads=1, runtime=60),
    ),
    "ensemble": Architecture(
        module="clipfold.training.on_predictions",
        input="predictions",
        settings={"members": []},
        needs=Resources(memory_mb=1000, gpus=0, threads=1, runtime=10),
    ),
}

SHORTCUTS: Mapping[str, tuple[str, Settings]] = {
    "shortcut_container": ("gradient_boosting", {"features": ["container"], "max_leaf_nodes": 7}),
    "shortcut_frame": ("logistic_regression", {"features": ["frame"], "C": 0.01}),
}
"""Baselines that know nothing of what happens in a video: name -> architecture and settings.

One sees what the container says (size, rates, duration, codec, encoder, sound), the other a blurred mean frame.
"""

_NEEDS = ("memory_mb", "gpus", "threads", "runtime")


def plan_models(entries: Sequence[str | Mapping[str, Any]], *, largest_size: int, most_frames: int) -> list[Model]:
    """Complete the entries of `models:`.

    Args:
        entries: the name of an architecture, or a mapping with `architecture`, optionally `name` (the architecture's
            by default), any of its settings and any of `memory_mb`, `gpus`, `threads`, `runtime`.
        largest_size: edge in pixels of the stored clips.
        most_frames: frames of the stored clips.

    Returns:
        One model per entry, in their order.

    Raises:
        ValueError: no entries, an unknown architecture or setting, a name taken twice or unfit for a folder, or a model
            that asks for more frames or pixels than are stored.
    """
    require(bool(entries), "models", list(entries), f"name at least one of {', '.join(ARCHITECTURES)}")
    models = [_complete(entry) for entry in entries]
    names = [model.name for model in models]
    for model in models:
        if model.input == "predictions":
            _check_members(model, models)
        require(model.name not in SHORTCUTS, "models: name", model.name, "use another: a baseline is called so")
        require(names.count(model.name) == 1, "models: name", model.name, "give each entry a name of its own")
        if model.input == "clips":
            size, frames = model.settings["size"], model.settings["frames"]
            require(
                16 <= size <= largest_size, f"models: {model.name}: size", size, "use 16 up to decode.size, or raise it"
            )
            require(
                1 <= frames <= most_frames,
                f"models: {model.name}: frames",
                frames,
                "use 1 up to decode.views.clips.frames, or raise it",
            )
    return models


def plan_shortcuts() -> list[Model]:
    """The baselines, which are trained like models."""
    return [_complete({"architecture": a, "name": name, **own}) for name, (a, own) in SHORTCUTS.items()]


def _check_members(ensemble: Model, models: Sequence[Model]) -> None:
    """Fill in the members of an ensemble: all models that are none themselves, where it names none."""
    single = [model.name for model in models if model.input != "predictions"]
    members = ensemble.settings["members"] = ensemble.settings["members"] or single
    for member in members:
        wanted = f"use names of other entries that are no ensembles: {', '.join(single)}"
        require(member in single, f"models: {ensemble.name}: members", member, wanted)
    require(
        len(set(members)) == len(members) > 1,
        f"models: {ensemble.name}: members",
        members,
        "name two or more, each once",
    )


def _complete(entry: str | Mapping[str, Any]) -> Model:
    given: Settings = {"architecture": entry} if isinstance(entry, str) else dict(entry)
    architecture = given.pop("architecture", None)
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise ValueError(f"models: architecture is {architecture!r}: {_suggest(architecture, ARCHITECTURES)}")
    name = given.pop("name", architecture)
    fit = isinstance(name, str) and name.isascii() and name.isidentifier()
    require(fit, "models: name", name, "use letters, digits and underscores, beginning with a letter")
    known = ARCHITECTURES[architecture]
    fixed = frozenset(_NEEDS) & given.keys()
    needs = {key: given.pop(key, getattr(known.needs, key)) for key in _NEEDS}
    for key, value in needs.items():
        low = 0 if key == "gpus" else 1
        whole = isinstance(value, int) and value >= low
        require(whole, f"models: {name}: {key}", value, f"use a whole number, {low} or more")
    for key, value in given.items():
        if key not in known.settings:
            raise ValueError(f"models: {name}: {key} is no setting of {architecture}: {_suggest(key, known.settings)}")
        _check_type(f"models: {name}: {key}", value, known.settings[key])
        choices = known.choices.get(key) or (CHOICES.get(key) if known.input == "clips" else None) or [value]
        require(value in choices, f"models: {name}: {key}", value, f"use one of {', '.join(map(str, choices))}")
    settings = dict(known.settings) | given
    if known.input == "clips":
        check_ranges(name, settings)
    elif known.input == "features":
        check_values(name, settings)
    return Model(name=name, architecture=architecture, settings=settings, needs=Resources(**needs), fixed=fixed)


def _check_type(name: str, value: object, default: object) -> None:
    """A setting keeps the kind of its default; a whole number will do where the default has decimals."""
    if name.endswith(": batch_size") and value == "auto":
        return
    if isinstance(default, str):  # also where a number is an alternative, as the svm's gamma
        other = isinstance(value, int | float) and name.endswith(": gamma")
        require(value is None or isinstance(value, str) or other, name, value, f"use a value such as {default!r}")
    elif isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number, name, value, f"use a number such as {default!r} (YAML reads 1e-3 as text: write 1.0e-3)")
    else:
        require(type(value) is type(default), name, value, f"use a value such as {default!r}")


def _suggest(name: object, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"there are {', '.join(known)}"
