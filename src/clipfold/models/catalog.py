"""The catalog of architectures: name, module, settings, resources. Standard library only: every start reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from clipfold.checks import require, suggest
from clipfold.models.architecture import Architecture, Input, Resources, on_clips, on_features
from clipfold.models.declare import Setting
from clipfold.models.images import for_images
from clipfold.models.named_encoders import GMAC, embedding_groups, gmac_of, unnamed, with_encoder
from clipfold.models.select import expand
from clipfold.models.settings import ON_CLIPS, ON_FEATURES, PRETRAINED, SEEDS, check_combinations
from clipfold.models.shortcuts import LIGHT, OF_IMAGES, PREFIX, SHORTCUTS

Settings = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """An entry of `models:` in the config, complete.

    Args:
        name: Unique; names the rule and the result folder.
        architecture: Name of its architecture.
        settings: All settings, defaults filled in; plain types only.
        needs: Resources of one of its jobs.
        fixed: Resources that the entry names; the others may be estimated from earlier fits.
        candidate_of: Name of the entry that may choose it, if it is fitted for that one only, and never scored itself.
        embedded: Feature group -> settings of the frozen encoder whose embeddings it holds, `embedding.NAME` of its
            `features`.
    """

    name: str
    architecture: str
    settings: Settings
    needs: Resources
    fixed: frozenset[str] = frozenset()
    candidate_of: str = ""
    embedded: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def known(self) -> Architecture:
        """Its architecture."""
        return ARCHITECTURES.get(self.architecture, LIGHT)

    @property
    def module(self) -> str:
        return self.known.module

    @property
    def input(self) -> Input:
        return self.known.input

    @property
    def gmac(self) -> float:
        """Cost of a forward pass of one clip, see `Architecture`: for the forecast."""
        known = self.known
        if known.input != "clips":
            return 0.0
        if "encoder" in self.settings:
            return gmac_of(self.settings, self.settings["frames"])
        by_choice = known.gmac
        if isinstance(by_choice, Mapping):
            by_choice = by_choice[self.settings["variant"]]
        default, own = known.settings, self.settings
        width = (own["width"] / default["width"]) ** 2 if "width" in own else 1.0
        return float(by_choice * width * own["frames"] / default["frames"] * (own["size"] / default["size"]) ** 2)

    @property
    def encoder(self) -> Settings | None:
        """The settings that its embeddings depend on, if its frame encoder never changes; they are computed once."""
        fixed = self.settings.get("freeze") and not self.settings["unfreeze_at"]
        changed = any(self.settings.get(name) for name in ("flip", "jitter", "mixup")) or self.settings.get("crop") != 1
        if "encoder" not in self.settings or not fixed or changed or self.settings["views_at_test"] > 1:
            return None
        return {name: self.settings[name] for name in ("encoder", "size", "weights", "download")}

    @property
    def encoders(self) -> list[Settings]:
        """The settings of all frozen encoders whose embeddings it learns from."""
        return [*([self.encoder] if self.encoder else []), *self.embedded.values()]


_WITH_BACKBONE = {**ON_CLIPS, **PRETRAINED}
_WIDTH, _ENCODER = "channels of the first block", "network that embeds each frame"
_INVERSE = "inverse strength of the L2 regularisation"
_ENCODERS, _CHOICES = tuple(GMAC), f"the name of one of `encoders`, or one of {', '.join(GMAC)}"

# Transformers learn less from random weights at the others' learning rate: they have 3e-4.
_ARCHITECTURES = (
    on_features(
        "logistic_regression",
        runtime=30,
        C=Setting({"grid": [0.001, 0.01, 0.1, 1.0]}, _INVERSE, kind=float, above=0),
    ),
    on_features(
        "svm",
        C=Setting({"grid": [0.1, 1.0, 10.0]}, _INVERSE, kind=float, above=0),
        kernel=Setting("rbf", "kernel", choices=("linear", "poly", "rbf", "sigmoid")),
        gamma=Setting(
            "scale",
            "coefficient of the kernel",
            kind=float,
            above=0,
            also=("scale", "auto"),
            values="scale, auto or a positive number",
        ),
    ),
    on_clips(
        "naive_cnn",
        gmac=0.071,
        memory_mb=4000,
        runtime=240,
        size=64,
        width=Setting(16, _WIDTH, low=1, values="1 or more channels", memory=True),
    ),
    on_clips(
        "slowfast",
        _WITH_BACKBONE,
        gmac={"small": 1.15, "r50_8x8": 6.6},
        moving=True,
        dropout=0.5,
        variant=Setting(
            "small",
            "`small`: 2.8 M parameters; `r50_8x8`: 34.6 M, published for 32 frames of 224 to 256 pixels",
            choices=("small", "r50_8x8"),
            memory=True,
        ),
    ),
    on_clips(
        "x3d",
        _WITH_BACKBONE,
        gmac=7.3,
        moving=True,
        dropout=0.5,
        variant=Setting(
            "m",
            "one network (3.8 M parameters), published weights for 4 x 160, 13 x 160, 16 x 224 (frames x pixels)",
            choices=("xs", "s", "m"),
            memory=True,
        ),
    ),
    on_clips(
        "vit_gru",
        _WITH_BACKBONE,
        memory_mb=6000,
        learning_rate=3e-4,
        size=64,
        encoder=Setting("vit_micro", _ENCODER, choices=_ENCODERS, values=_CHOICES, memory=True),
        hidden=Setting(128, "width of the state", low=1, memory=True),
        layers=Setting(1, "number of GRU layers", low=1, memory=True),
        state=Setting("mean", "state to classify: the last frame's or the mean", choices=("last", "mean")),
    ),
    on_clips(
        "vit_transformer",
        _WITH_BACKBONE,
        memory_mb=6000,
        learning_rate=3e-4,
        size=64,
        encoder=Setting("vit_micro", _ENCODER, choices=_ENCODERS, values=_CHOICES, memory=True),
        depth=Setting(2, "number of transformer layers", low=1, memory=True),
        heads=Setting(3, "attention heads of each layer; a divisor of the encoder's width", low=1, memory=True),
    ),
    on_clips(
        "cnn_lstm",
        _WITH_BACKBONE,
        memory_mb=6000,
        size=64,
        encoder=Setting("resnet18", _ENCODER, choices=_ENCODERS, values=_CHOICES, memory=True),
        hidden=Setting(128, "width of the state, in each direction", low=1, memory=True),
        layers=Setting(1, "number of LSTM layers", low=1, memory=True),
    ),
    on_clips("r3d_18", _WITH_BACKBONE, gmac=40.7, moving=True),
    on_clips("mvit_v2_s", _WITH_BACKBONE, gmac=21.5, moving=True, learning_rate=3e-4, dropout=0.5),
    on_clips("swin3d_t", _WITH_BACKBONE, gmac=18.0, moving=True, learning_rate=3e-4),
    on_clips(
        "variable_ar_cnn",
        gmac=0.61,
        memory_mb=4000,
        runtime=240,
        width=Setting(16, _WIDTH, low=1, values="1 or more channels", memory=True),
    ),
    on_features(
        "feature_ensemble",
        C=Setting({"grid": [0.001, 0.01, 0.1, 1.0]}, f"{_INVERSE}, of each member", kind=float, above=0),
    ),
    on_features(
        "feature_mlp",
        hidden=Setting(
            [64, 32],
            "width of each layer",
            low=1,
            values="one or more widths of 1 or more, such as [64, 32]",
            memory=True,
        ),
        alpha=Setting(1.0, "strength of the L2 regularisation", low=0),
        seeds=SEEDS,
    ),
    on_features(
        "gradient_boosting",
        ON_FEATURES,
        learning_rate=Setting(0.1, "factor of each tree", above=0),
        max_iter=Setting(100, "number of trees per class", low=1, memory=True),
        max_leaf_nodes=Setting(31, "leaves of a tree", low=2, memory=True),
        min_samples_leaf=Setting(5, "videos in a leaf", low=1),
        l2_regularization=Setting(0.0, "strength of the L2 regularisation", low=0),
    ),
    Architecture(
        name="ensemble",
        module="clipfold.training.on_predictions",
        input="predictions",
        declared={
            "members": Setting(
                [], "names of other entries; empty: all but those that mix or choose", values="names of other entries"
            ),
            "mix": Setting(
                "mean",
                "`mean`: weights with the lowest log-loss; `best`: all weight for the best member, as in a `select`",
                choices=("mean", "best"),
            ),
        },
        needs=Resources(memory_mb=1000, gpus=0, threads=1, runtime=10),
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {known.name: known for known in _ARCHITECTURES}
"""Those that entries of `models:` may name."""

FOR_TABLES = ("logistic_regression", "svm", "gradient_boosting")
"""The models of a table by default, where those of videos are `logistic_regression`, `svm` and `naive_cnn`."""


def plan_models(
    entries: Sequence[str | Mapping[str, Any]],
    *,
    largest_size: int,
    most_frames: int,
    modality: str = "video",
    encoders: Mapping[str, Settings] | None = None,
) -> list[Model]:
    """Complete the entries of `models:`.

    Args:
        entries: Each is the name of an architecture, or a mapping with `architecture`, optionally `name` (the
            architecture's by default), any of its settings and any of `memory_mb`, `gpus`, `threads`, `runtime`; or one
            with `select`, see `models.select`.
        largest_size: Edge in pixels of the stored clips.
        most_frames: Frames of the stored clips.
        modality: What a row of the manifest is: for `image`, defaults are those of one frame; for `table`, all columns
            are the features of its models.
        encoders: The named encoders, see `plan_encoders`.

    Returns:
        One model per entry, in their order, each after the candidates that only it may choose.

    Raises:
        ValueError: There are no entries, an architecture or setting is unknown, a value is not accepted, a name is used
            twice or unfit for a folder, or a model asks for more frames or pixels than are stored, or for motion where
            there is none.
    """
    require(bool(entries), "models", list(entries), f"name at least one of {', '.join(ARCHITECTURES)}")
    expanded = expand(entries, ARCHITECTURES)
    models = [replace(_complete(entry, modality, encoders or {}), candidate_of=of) for entry, of in expanded]
    if modality == "table":
        _check_for_table([entry for entry, _ in expanded], models)
    names = [model.name.lower() for model in models]
    for model in models:
        if model.input == "predictions":
            _check_members(model, models)
        name = model.name.lower()  # some file systems do not know case, and names are folders
        baseline = name.startswith(PREFIX)
        require(not baseline, "models: name", model.name, f"use another: {PREFIX} begins the names of baselines")
        require(names.count(name) == 1, "models: name", model.name, "give each entry its own name, not only in case")
        if model.input == "clips":
            size, frames = model.settings["size"], model.settings["frames"]
            require(size <= largest_size, f"models: {model.name}: size", size, "use 16 up to decode.size, or raise it")
            most = "use 1 up to decode.views.clips.frames, or raise it"
            require(frames <= most_frames, f"models: {model.name}: frames", frames, most)
    return models


def _check_for_table(entries: Sequence[str | Mapping[str, Any]], models: Sequence[Model]) -> None:
    """Check models that are to learn from a table, and have them read all of its columns."""
    fitting = ", ".join(known.name for known in ARCHITECTURES.values() if known.input != "clips")
    for entry, model in zip(entries, models, strict=True):
        wanted = f"it learns from clips, and a table has none: use any of {fitting}"
        require(model.input != "clips", f"models: {model.name}: architecture", model.architecture, wanted)
        if model.input == "features":
            given = entry.get("features", []) if isinstance(entry, Mapping) else []
            remedy = "these are computed from videos: leave it out, and choose columns by table.columns or table.ignore"
            require(not given, f"models: {model.name}: features", given, remedy)
            model.settings["features"] = ["table"]


def plan_shortcuts(models: Sequence[Model] = (), modality: str = "video") -> list[Model]:
    """Complete the baselines, which are trained like models.

    Args:
        models: The configured models. For each frozen encoder of videos, the first model with it is trained once more,
            on a single frame.
        modality: What a row of the manifest is. Of an image, a single frame and its shuffled order are no shortcuts.
    """
    names = OF_IMAGES if modality == "image" else tuple(SHORTCUTS)
    light = [
        Model(
            name=name,
            architecture=LIGHT.name,
            settings=LIGHT.settings | {"features": list(SHORTCUTS[name])},
            needs=LIGHT.needs,
        )
        for name in names
    ]
    encoded = {str(model.encoder): model for model in reversed(models) if model.encoder and modality == "video"}
    return light + [
        replace(model, name=f"{PREFIX}still_{model.name}", settings=model.settings | {"frames": 1})
        for model in reversed(encoded.values())
    ]


def _check_members(ensemble: Model, models: Sequence[Model]) -> None:
    """Check the members of an ensemble; by default, they are all entries that neither mix nor choose."""
    single = [m.name for m in models if m.input != "predictions" and m.candidate_of in ("", ensemble.name)]
    members = ensemble.settings["members"] = ensemble.settings["members"] or single
    for member in members:
        wanted = f"use names of other entries that neither mix nor choose: {', '.join(single)}"
        require(member in single, f"models: {ensemble.name}: members", member, wanted)
    several = len(set(members)) == len(members) > 1
    seeds = {model.name: model.settings.get("seeds", 1) for model in models if model.name in members}
    alike = len({number for number in seeds.values() if number > 1}) <= 1
    require(alike, f"models: {ensemble.name}: members", members, "give those with several seeds the same number")
    require(several, f"models: {ensemble.name}: members", members, "name two or more, each once")


def _complete(entry: str | Mapping[str, Any], modality: str, encoders: Mapping[str, Settings]) -> Model:
    given: Settings = {"architecture": entry} if isinstance(entry, str) else dict(entry)
    architecture = given.pop("architecture", None)
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise ValueError(f"models: architecture is {architecture!r}: {suggest(architecture, ARCHITECTURES)}")
    known = ARCHITECTURES[architecture]
    name = given.pop("name", architecture)
    fit = isinstance(name, str) and name.isascii() and name.isidentifier()
    require(fit, "models: name", name, "use letters, digits and underscores, beginning with a letter")
    require(len(name) <= 100, "models: name", name, f"{len(name)} characters: use at most 100, as folders have it")
    needs = asdict(known.needs)
    for key, value in given.items():
        if key in needs:
            low = 0 if key == "gpus" else 1
            whole = type(value) is int and value >= low
            require(whole, f"models: {name}: {key}", value, f"use a whole number, {low} or more")
        elif key in known.declared:
            where, setting = f"models: {name}: {key}", known.declared[key]
            setting.check(where, unnamed(where, key, value, encoders, setting.default))
            whole = isinstance(value, Mapping) and (key == "features" or known.input == "predictions")
            require(not whole, f"models: {name}: {key}", value, "name an entry for each in a select instead of a grid")
        elif key == "seeds":
            chance = ", ".join(each.name for each in ARCHITECTURES.values() if "seeds" in each.declared)
            none = f"{architecture} has no chance in training: leave it out; those that have are {chance}"
            require(False, f"models: {name}: seeds", value, none)
        else:
            remedy = suggest(key, [*known.declared, *needs])
            raise ValueError(f"models: {name}: {key} is not a setting of {architecture}: {remedy}")
    fixed = given.keys() & needs
    needs |= {key: given.pop(key) for key in fixed}
    if modality == "image":
        given = for_images(name, known, given, [each.name for each in ARCHITECTURES.values() if not each.moving])
    if "encoder" in known.declared:
        given = with_encoder(f"models: {name}", given, encoders)
    settings = known.settings | given
    if known.input == "clips":
        if settings["device"] == "cpu" and "gpus" not in fixed:
            needs["gpus"] = 0
        contradiction = (settings["device"], needs["gpus"] > 0) in (("cpu", True), ("cuda", False))
        remedy = f"device is {settings['device']!r}: name only one of them"
        require(not contradiction, f"models: {name}: gpus", needs["gpus"], remedy)
        check_combinations(name, settings)
    groups = embedding_groups(settings.get("features", ()))
    return Model(
        name=name,
        architecture=architecture,
        settings=settings,
        needs=Resources(**needs),
        fixed=frozenset(fixed),
        embedded={group: encoders[group.partition(".")[2]] for group in groups},
    )
