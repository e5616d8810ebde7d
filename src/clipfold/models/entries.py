"""Complete and check the entries of `models:`, and the baselines. Standard library only: every start reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from clipfold.checks import require, suggest
from clipfold.models.architecture import Resources
from clipfold.models.catalog import ARCHITECTURES, STACK
from clipfold.models.encoder_sizes import WIDTHS, check_heads, check_size
from clipfold.models.images import for_images
from clipfold.models.model import Model, Settings
from clipfold.models.named_encoders import FEATURES, embedding_groups, several, unnamed, with_encoder
from clipfold.models.select import expand
from clipfold.models.settings import check_combinations
from clipfold.models.shortcuts import LIGHT, OF_IMAGES, PREFIX, SHORTCUTS


def plan_models(
    entries: Sequence[str | Mapping[str, Any]],
    *,
    largest_size: int,
    most_frames: int,
    clips: int = 1,
    modality: str = "video",
    encoders: Mapping[str, Settings] | None = None,
) -> list[Model]:
    """Complete the entries of `models:`.

    Args:
        entries: Each is the name of an architecture, or a mapping with `architecture`, optionally `name` (the
            architecture's by default), any of its settings and any of `memory_mb`, `gpus`, `threads`, `runtime`,
            `fits_per_gpu`; or one with `select`, see `models.select`.
        largest_size: Edge in pixels of the stored clips.
        most_frames: Frames of a stored clip.
        clips: Stored clips per video; if there are several, networks have it as a setting.
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
            encoder, heads = model.settings.get("encoder", ""), model.settings.get("heads")
            check_size(f"models: {model.name}: size", encoder, size)
            if heads and encoder in WIDTHS:  # that of a library's network is known when it is built
                check_heads(f"models: {model.name}: heads", heads, WIDTHS[encoder])
            require(frames <= most_frames, f"models: {model.name}: frames", frames, most)
            model.settings.update(several(clips))
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
    pair = ensemble.settings["mix"] != "cascade" or len(ensemble.settings["members"]) == 2
    two = "name two, the cheap one first"
    require(pair, f"models: {ensemble.name}: members", ensemble.settings["members"], two)
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
    if architecture == STACK and "features" not in given:
        settings["features"] = [*settings["features"], *(f"{FEATURES}.{name}" for name in encoders)]
    if known.input == "clips":
        if settings["device"] == "cpu" and "gpus" not in fixed:
            needs["gpus"] = 0
        contradiction = (settings["device"], needs["gpus"] > 0) in (("cpu", True), ("cuda", False))
        remedy = f"device is {settings['device']!r}: name only one of them"
        require(not contradiction, f"models: {name}: gpus", needs["gpus"], remedy)
        shared = needs["fits_per_gpu"] > 1 and needs["gpus"] > 1
        require(
            not shared, f"models: {name}: fits_per_gpu", needs["fits_per_gpu"], "leave it out where gpus is above 1"
        )
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
