"""The config as one object: known keys, checked types, defaults filled in. Standard library only.

Each key is declared once, as a field with its type and default: here or in the settings of its stage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar, get_origin, get_type_hints

from clipfold.checks import require, suggest
from clipfold.manifest.groups import SEPARATOR
from clipfold.settings import (
    LEAKS,
    AugmentSettings,
    BundleSettings,
    DecodeSettings,
    EmbedSettings,
    ExplainSettings,
    PolicySettings,
    PredictSettings,
    ProbeSettings,
    SplitSettings,
    TableSettings,
)
from clipfold.video.region import MOTION, NONE

T = TypeVar("T")

COLUMNS = ("path", "label", "id", "group", "start", "end", "fps", "split")
"""Columns of the manifest that `columns` can rename."""

MODALITIES = ("video", "image", "table")
"""Kinds of rows of the manifest: a video, an image, or a row of numbers and categories."""

_TEXT = " (Snakemake reads nested values of --config as text: write them in a file for --configfile)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that a user can set.

    Args:
        modality: One of `MODALITIES`: what a row of the manifest is.
        manifest: CSV, TSV or Parquet file with a row per video.
        columns: Names of the manifest's columns, where they differ from `COLUMNS`.
        group_separator: What separates several groups in a cell; empty if a cell is one group, whatever it holds.
        positive: The positive class of two, such as `fake`; empty for the last in the alphabet.
        seed: Seed for every random draw.
        shard_size: Most videos in a shard, the unit of a data job; 0 to choose by the number of videos.
        cache: Folder in which probed and decoded videos are kept by content, for other experiments; empty for none.
        keep_intermediate: Keep files that later stages no longer need.
        table: What to learn from a table.
        probe: Limits that a usable video respects.
        decode: Views to keep of each video.
        policy: Action for each status other than `ok`.
        augment: Augmented copies: how many, what may change, whether they are stored.
        splits: Assignment of videos to folds.
        allow_leakage: Kinds of leak that do not stop the run.
        shortcuts: Train the baselines that know nothing of the action.
        explain: Predictions to explain.
        bundle: Models to make ready for use elsewhere.
        predict: New videos to predict.
        encoders: Frozen encoders by name, for `embedding.NAME` among features and `encoder` of networks.
        embed: The jobs of frozen encoders.
        models: Models to train: names of architectures, or mappings.
    """

    modality: str = "video"
    manifest: str = "videos.csv"
    columns: Mapping[str, str] = field(default_factory=dict)
    group_separator: str = SEPARATOR
    positive: str = ""
    seed: int = 0
    shard_size: int = 0
    cache: str = ""
    keep_intermediate: bool = True
    table: TableSettings = field(default_factory=TableSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    splits: SplitSettings = field(default_factory=SplitSettings)
    allow_leakage: Sequence[str] = ()
    shortcuts: bool = True
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    bundle: BundleSettings = field(default_factory=BundleSettings)
    predict: PredictSettings = field(default_factory=PredictSettings)
    encoders: Mapping[str, Any] = field(default_factory=dict)
    embed: EmbedSettings = field(default_factory=EmbedSettings)
    models: Sequence[str | Mapping[str, Any]] = ("logistic_regression", "svm", "feature_ensemble", "naive_cnn")

    def __post_init__(self) -> None:
        require(self.modality in MODALITIES, "modality", self.modality, f"use one of {', '.join(MODALITIES)}")
        check_names("columns", self.columns, COLUMNS)
        for column, name in self.columns.items():
            none = column in ("start", "end", "fps") and name == ""  # a column of that name is something else
            named = isinstance(name, str) and bool(name or none)
            require(named, f"columns.{column}", name, "name a column of the manifest")
        require(0 <= self.seed < 2**31, "seed", self.seed, "use 0 to 2147483647")
        require(
            self.shard_size >= 0, "shard_size", self.shard_size, "use 1 or more videos per shard, or 0 for its default"
        )
        for entry in self.models:
            good = isinstance(entry, str | Mapping)
            require(
                good, "models", entry, "list names of architectures, or mappings such as {architecture: svm, C: 10.0}"
            )
        for kind in self.allow_leakage:
            require(kind in LEAKS, "allow_leakage", kind, f"use any of {', '.join(LEAKS)}")
        require(
            self.splits.scheme != "random" or "random" in self.allow_leakage,
            "splits.scheme",
            self.splits.scheme,
            "it separates videos of one group, so its results are for comparison only; use grouped, or accept this "
            "with allow_leakage: [random]",
        )


WHOLE_VIEW = "whole"
"""View of the same frames as clips, whole: near duplicates are searched in it where clips show only a region."""


def read_config(values: Mapping[str, Any]) -> Config:
    """Check the values of a config file.

    Args:
        values: Keys and values as YAML gives them; missing keys take their defaults. An image is a clip of one frame,
            whatever `decode.views` says. If clips show a region, a view `WHOLE_VIEW` is added.

    Raises:
        ValueError: An unknown key, a wrong type or a value out of range; the message names the key, the value and the
            remedy.
    """
    config = build(Config, "", values)
    views = dict(config.decode.views)
    require(
        WHOLE_VIEW not in views, "decode.views", [*views], f"rename {WHOLE_VIEW}, which is added where it is needed"
    )
    own = {name: options for name, options in views.items() if isinstance(options, Mapping)}
    if config.modality == "image":
        cut = [name for name, options in own.items() if options.get("region") == MOTION]
        require(not cut, f"decode.views.{''.join(cut[:1])}.region", MOTION, "leave it out: an image does not move")
        several = [name for name, options in own.items() if options.get("clips", 1) != 1]
        remedy = "leave it out: an image has no time"
        require(not several, f"decode.views.{''.join(several[:1])}.clips", "several", remedy)
        views |= {name: {**options, "frames": 1} for name, options in own.items()}
    if own.get("clips", {}).get("region", NONE) != NONE:
        views[WHOLE_VIEW] = {**views["clips"], "region": NONE}
    return replace(config, decode=replace(config.decode, views=views))


def check_names(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first unknown name, with the closest known one.

    Raises:
        ValueError: A name is not in `known`.
    """
    options = list(known)
    for name in names:
        if name not in options:
            key = f"{where}.{name}" if where else str(name)
            raise ValueError(f"{key} is not a key of the config: {suggest(name, options)}")


def build(cls: type[T], where: str, values: Mapping[str, Any]) -> T:
    """Build settings from plain values.

    Args:
        cls: A dataclass of settings.
        where: Its key, for messages.
        values: Name -> value; missing ones take their defaults.

    Raises:
        ValueError: As `read_config`.
    """
    hints = get_type_hints(cls)
    check_names(where, values, [each.name for each in fields(cls)])  # type: ignore[arg-type]
    prefix = f"{where}." if where else ""
    return cls(**{name: _checked(prefix + name, value, hints[name]) for name, value in values.items()})


def _checked(name: str, value: Any, wanted: Any) -> Any:
    """Return a value of the wanted type, with nested settings built."""
    if is_dataclass(wanted) and isinstance(wanted, type):
        require(isinstance(value, Mapping), name, value, "use a mapping of its settings, or leave it out")
        return build(wanted, name, value)
    kind = get_origin(wanted) or wanted
    wanted_types, text = _KINDS[kind]
    good = isinstance(value, wanted_types) and not (isinstance(value, bool) and kind is not bool)
    if kind is Sequence:
        good = good and not isinstance(value, str)
    hint = _TEXT if isinstance(value, str) and kind in (int, float, bool) and "." in name else ""
    require(good, name, value, f"use {text}{hint}")
    return value


_KINDS: Mapping[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (int | float, "a number (YAML reads 1e-3 as text: write 1.0e-3)"),
    str: (str, "text"),
    Mapping: (Mapping, "a mapping"),
    Sequence: (Sequence, "a list"),
}
