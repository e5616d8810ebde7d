"""Settings of each stage, checked on construction. Standard library only: every Snakemake start imports this.

Each field declares its type and default, once. An invalid value raises a `ValueError` that names the field, the value
and the remedy.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from clipfold.checks import require, suggest
from clipfold.clips.presets import resolve
from clipfold.status import DECODABLE, Status

MOST_FPS = 10_000
"""Most frames per second of a folder of frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSettings:
    """Limits that a usable video respects.

    Args:
        min_frames: A video with fewer frames is `too_short`.
        max_frames: A video with more frames is `too_large`.
        max_pixels: A video with larger frames (width times height) is `too_large`.
        fps: Frames per second of a folder or an archive of images, where the manifest has none in a column `fps`.
        codecs: `usual`: a video in a codec that today's cameras, phones, websites and editors do not write is
            `unsupported_codec`. `all`: any decoder of FFmpeg may run, also those that are rarely tested.
        timeout_s: Seconds allowed to probe one file, and 1 s more per 10 MB to read it; then it is a `timeout`.
    """

    min_frames: int = 2
    max_frames: int = 2_000_000
    max_pixels: int = 8192 * 8192
    fps: float = 25.0
    codecs: str = "usual"
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        require(self.min_frames >= 1, "probe.min_frames", self.min_frames, "use 1 or more")
        require(
            self.max_frames >= self.min_frames, "probe.max_frames", self.max_frames, "use at least probe.min_frames"
        )
        require(self.max_pixels >= 1, "probe.max_pixels", self.max_pixels, "use 1 or more")
        require(0 < self.fps <= MOST_FPS, "probe.fps", self.fps, f"use the frames per second, up to {MOST_FPS}")
        require(self.codecs in ("usual", "all"), "probe.codecs", self.codecs, "use 'usual' or 'all'")
        require(self.timeout_s > 0, "probe.timeout_s", self.timeout_s, "use a positive number of seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeSettings:
    """Views to keep of each video.

    Args:
        size: Edge in pixels of the square that clip frames are letterboxed into; the largest size a model can ask for.
        timeout_s: Seconds allowed to decode one video, and 1 s more per 10 MB to read it; then it is a `timeout`.
        loop_filter: Smooth the edges of blocks, as the codec prescribes; without, pixels are not those of the video.
        views: Name of each array -> its kind and options, see `clipfold.video.views`.
        face_model: File of OpenCV's detector of faces, YuNet, for views with `region: face`.
    """

    size: int = 112
    timeout_s: float = 600.0
    loop_filter: bool = True
    views: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "clips": {"kind": "uniform", "frames": 16},
            "motion": {"kind": "luma", "rate": 10.0, "frames": 64, "size": 160},
            "native": {"kind": "crops", "frames": 4, "grid": 3, "size": 64},
        }
    )
    face_model: str = ""

    def __post_init__(self) -> None:
        require(16 <= self.size <= 1024, "decode.size", self.size, "use 16 to 1024 pixels")
        require(self.timeout_s > 0, "decode.timeout_s", self.timeout_s, "use a positive number of seconds")
        require("clips" in self.views, "decode.views", list(self.views), "keep a view named 'clips'")
        for name in self.views:
            good = isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name)
            require(bool(good), "decode.views", name, "use a name of lower-case letters, digits and underscores")


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicySettings:
    """Action for a video that is not `ok`, by status: `quarantine` it, `fail` the run, or `use` the frames that decode.

    `use` needs a status that leaves frames. `duplicate: use` keeps files of identical content, in one group.
    """

    missing: str = "quarantine"
    empty: str = "quarantine"
    refused: str = "quarantine"
    unreadable: str = "quarantine"
    no_video_stream: str = "quarantine"
    unsupported_codec: str = "quarantine"
    truncated: str = "quarantine"
    corrupt: str = "quarantine"
    no_frames: str = "quarantine"
    too_short: str = "quarantine"
    too_large: str = "quarantine"
    timeout: str = "quarantine"
    crashed: str = "quarantine"
    failed: str = "quarantine"
    duplicate: str = "quarantine"

    def __post_init__(self) -> None:
        for status in fields(self):
            usable = status.name in DECODABLE or status.name == Status.DUPLICATE
            choices = ("quarantine", "fail", "use") if usable else ("quarantine", "fail")
            action = getattr(self, status.name)
            require(action in choices, f"policy.{status.name}", action, f"use one of {', '.join(choices)}")

    def action(self, status: str) -> str:
        """Return `use`, `quarantine` or `fail`."""
        return "use" if status == Status.OK else str(getattr(self, status))


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentSettings:
    """Random changes of the augmented copies, drawn once per augmented copy and applied to all its frames.

    Args:
        preset: Operations to begin with, one of `clipfold.clips.presets.PRESETS`.
        copies: Augmented copies per video, 0 to 64.
        keep: `replayed`: training makes the copies when it reads them, from the clips and what was drawn; `stored`:
            they are made once and take disk. The pixels are the same.
        without: Operations to leave out, such as those that would change a label.
        operations: Operations to add, or whose probability or limits to change: name -> arguments.
    """

    preset: str = "light"
    copies: int = 2
    keep: str = "replayed"
    without: Sequence[str] = field(default_factory=list)
    operations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 <= self.copies <= 64, "augment.copies", self.copies, "use 0 to 64")
        require(self.keep in KEEPS, "augment.keep", self.keep, suggest(self.keep, KEEPS))
        _ = self.drawn

    @property
    def drawn(self) -> dict[str, Any]:
        """What decides the copies: their number, and the operations with every default."""
        operations = resolve(self.preset, self.without, self.operations)
        return {"copies": self.copies if operations else 0, "operations": operations}


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedSettings:
    """The jobs of frozen encoders.

    Args:
        shards: Most shards per job, each of which loads the encoder once.
    """

    shards: int = 8

    def __post_init__(self) -> None:
        require(self.shards >= 1, "embed.shards", self.shards, "use 1 or more shards per job")


KEEPS = ("replayed", "stored")
"""Values of `augment.keep`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableSettings:
    """What to learn from a table, for `modality: table`.

    Args:
        columns: Columns to learn from, taken as they are; empty: all but label, id, group and split.
        ignore: Columns to leave out.
        categories: Columns of numbers that are codes, such as `1` for red.
        duplicates: Action for equal rows, if there are more of them than chance explains: `use` keeps them in one
            group, `quarantine` the first of them, `fail` ends the run.
    """

    columns: Sequence[str] = field(default_factory=list)
    ignore: Sequence[str] = field(default_factory=list)
    categories: Sequence[str] = field(default_factory=list)
    duplicates: str = "use"

    def __post_init__(self) -> None:
        for key in ("columns", "ignore", "categories"):
            for name in getattr(self, key):
                require(isinstance(name, str) and bool(name), f"table.{key}", name, "list names of columns")
        both = sorted({*self.columns} & {*self.ignore})
        require(not both, "table.ignore", both, "they are in table.columns, too: name each in one of the two")
        actions = ("use", "quarantine", "fail")
        require(self.duplicates in actions, "table.duplicates", self.duplicates, f"use one of {', '.join(actions)}")


SCHEMES = ("grouped", "stable", "leave_one_group_out", "column", "random")
LEAKS = ("groups", "duplicates", "overlaps", "near_duplicates", "random")
"""Kinds of leak that `allow_leakage` can name; `random` covers every leak of the scheme `random`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSettings:
    """Assignment of videos to folds.

    Args:
        scheme: One of `SCHEMES`. `grouped`: stratified, groups kept whole (scikit-learn's StratifiedGroupKFold);
            `stable`: the same, but an added video moves few others; `leave_one_group_out`: one fold per group of the
            manifest; `column`: the manifest's column `split`; `random`: stratified, groups separated.
        folds: Number of folds; each group is tested in exactly one. `leave_one_group_out` and `column` set their own.
        repeats: Number of times that all videos are assigned to folds, each with another seed.
        validation: Share of each fold's training data kept for choices (epoch, threshold), in (0, 0.5].
        merge_near_duplicates: Put groups of the manifest that show the same recording together.
    """

    scheme: str = "grouped"
    folds: int = 5
    repeats: int = 1
    validation: float = 0.2
    merge_near_duplicates: bool = False

    def __post_init__(self) -> None:
        require(self.scheme in SCHEMES, "splits.scheme", self.scheme, f"use one of {', '.join(SCHEMES)}")
        require(1 <= self.repeats <= 100, "splits.repeats", self.repeats, "use 1 to 100")
        require(
            self.repeats == 1 or self.scheme not in ("leave_one_group_out", "column"),
            "splits.repeats",
            self.repeats,
            f"use 1: {self.scheme} tests the same videos each time",
        )
        require(2 <= self.folds <= 100, "splits.folds", self.folds, "use 2 to 100")
        require(0 < self.validation <= 0.5, "splits.validation", self.validation, "use a share above 0, at most 0.5")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainSettings:
    """Predictions of each network to explain by the evidence in their clips.

    Args:
        errors: Most confident wrong predictions to explain, at most.
        hits: Correct predictions to explain, drawn at random, at most.
    """

    errors: int = 6
    hits: int = 4

    def __post_init__(self) -> None:
        for name in ("errors", "hits"):
            require(0 <= getattr(self, name) <= 100, f"explain.{name}", getattr(self, name), "use 0 to 100 clips")


BEST = "best"
"""In `bundle.models`: the model with the best metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictSettings:
    """New videos to predict.

    Args:
        manifest: Table of the videos, as `manifest`; labels are optional. Empty for none.
        bundle: `BEST`, the name of a configured model, or the path of a bundle.
    """

    manifest: str = ""
    bundle: str = BEST


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleSettings:
    """Models to make ready for use elsewhere.

    Args:
        models: Names of configured models, or `BEST`.
        final: Also fit one model on all data, with what the folds chose.
    """

    models: Sequence[str] = field(default_factory=lambda: [BEST])
    final: bool = False

    def check_models(self, configured: Sequence[str]) -> None:
        """Check the names against those of the configured models.

        Raises:
            ValueError: A name is unknown, or a model has the name that stands for the best.
        """
        require(BEST not in configured, "models: name", BEST, "use another: in bundle.models it is the best model")
        for name in self.models:
            require(name in (BEST, *configured), "bundle.models", name, suggest(name, [BEST, *configured]))
