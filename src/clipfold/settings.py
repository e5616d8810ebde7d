"""Settings of each stage, checked on construction. Standard library only: every Snakemake start imports this.

The keys and defaults are those of `config/schema.yaml` (a test holds the two together). A wrong value raises a
`ValueError` that names the field, the value and the remedy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from clipfold.checks import require
from clipfold.video.status import DECODABLE, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSettings:
    """Limits a file has to keep to be used.

    Args:
        min_frames: a video with fewer frames is `too_short`.
        max_frames: a video with more frames is `too_large`.
        max_pixels: a video whose frames have more pixels (width times height) is `too_large`.
        timeout_s: seconds after which the probing of one file is given up (`timeout`).
    """

    min_frames: int = 2
    max_frames: int = 2_000_000
    max_pixels: int = 8192 * 8192
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        require(self.min_frames >= 1, "probe.min_frames", self.min_frames, "use 1 or more")
        require(
            self.max_frames >= self.min_frames, "probe.max_frames", self.max_frames, "use at least probe.min_frames"
        )
        require(self.max_pixels >= 1, "probe.max_pixels", self.max_pixels, "use 1 or more")
        require(self.timeout_s > 0, "probe.timeout_s", self.timeout_s, "use a positive number of seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeSettings:
    """What is kept of each video.

    Args:
        size: edge in pixels of the square that clip frames are letterboxed into; the largest size a model can ask for.
        timeout_s: seconds after which the decoding of one video is given up (`timeout`).
        views: name of the array -> its kind and options, see `clipfold.video.views`.
    """

    size: int = 112
    timeout_s: float = 600.0
    views: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "clips": {"kind": "uniform", "frames": 16},
            "motion": {"kind": "luma", "rate": 10.0, "frames": 64, "size": 64},
            "native": {"kind": "crops", "frames": 4, "grid": 3, "size": 64},
        }
    )

    def __post_init__(self) -> None:
        require(16 <= self.size <= 1024, "decode.size", self.size, "use 16 to 1024 pixels")
        require(self.timeout_s > 0, "decode.timeout_s", self.timeout_s, "use a positive number of seconds")
        require("clips" in self.views, "decode.views", list(self.views), "keep a view named 'clips'")


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicySettings:
    """What to do with a video that is not `ok`, by its status: `quarantine` it, `fail`, or `use` what decodes.

    `use` is possible where frames can be had. `duplicate: use` keeps files of identical content, all in one group.
    """

    missing: str = "quarantine"
    empty: str = "quarantine"
    refused: str = "quarantine"
    unreadable: str = "quarantine"
    no_video_stream: str = "quarantine"
    unsupported_codec: str = "quarantine"
    truncated: str = "quarantine"
    corrupt: str = "quarantine"
    too_short: str = "quarantine"
    too_large: str = "quarantine"
    timeout: str = "quarantine"
    crashed: str = "quarantine"
    duplicate: str = "quarantine"

    def __post_init__(self) -> None:
        for status in fields(self):
            usable = status.name in DECODABLE or status.name == Status.DUPLICATE
            choices = ("quarantine", "fail", "use") if usable else ("quarantine", "fail")
            action = getattr(self, status.name)
            require(action in choices, f"policy.{status.name}", action, f"use one of {', '.join(choices)}")

    def action(self, status: str) -> str:
        """`use`, `quarantine` or `fail`."""
        return "use" if status == Status.OK else str(getattr(self, status))


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentSettings:
    """Random changes of the stored copies; each is drawn once per copy and holds for all its frames.

    Args:
        copies: stored copies per video, at least 0.
        flip: probability of a left-right flip, in [0, 1].
        crop: smallest share of the content's width and height that a crop keeps, in (0, 1].
        brightness: largest additive change, as a share of full scale, in [0, 1].
        contrast: largest relative change of contrast, in [0, 1].
        saturation: largest relative change of colour saturation, in [0, 1].
    """

    copies: int = 2
    flip: float = 0.5
    crop: float = 0.8
    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        require(0 <= self.copies <= 64, "augment.copies", self.copies, "use 0 to 64")
        require(0 < self.crop <= 1, "augment.crop", self.crop, "use a share above 0, at most 1")
        for name in ("flip", "brightness", "contrast", "saturation"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"augment.{name}", value, "use 0 to 1")


SCHEMES = ("grouped", "stable", "leave_one_group_out", "column", "random")
LEAKS = ("groups", "duplicates", "near_duplicates", "random")
"""What `allow_leakage` can name; `random` stands for all that the scheme `random` tears apart."""


def check_allowed(allowed: Sequence[str], scheme: str) -> None:
    """Make sure that `allow_leakage` names kinds of leak, and the scheme `random` where it is used.

    Raises:
        ValueError: an unknown kind; the scheme `random` is not named.
    """
    for kind in allowed:
        require(kind in LEAKS, "allow_leakage", kind, f"use any of {', '.join(LEAKS)}")
    require(
        scheme != "random" or "random" in allowed,
        "splits.scheme",
        scheme,
        "it tears groups apart, so that its results are for comparison only; use grouped, or say that you want this "
        "with allow_leakage: [random]",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSettings:
    """How videos are dealt into folds.

    Args:
        scheme: one of `SCHEMES`. `grouped`: stratified, each group whole (scikit-learn's StratifiedGroupKFold);
            `stable`: the same, dealt such that an added video moves few others; `leave_one_group_out`: a fold per group
            of the manifest; `column`: as the manifest's column `split` says; `random`: stratified, groups torn apart.
        folds: number of folds; each group is tested in exactly one. `leave_one_group_out` and `column` have their own.
        repeats: how often all videos are dealt, with another seed each time.
        validation: share of each fold's training part kept for choices (epoch, threshold), in (0, 0.5].
        merge_near_duplicates: whether groups of the manifest that show the same recording are put together.
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
    """Which predictions of a network are attributed to places in the clip.

    Args:
        errors: most confident ones, at most.
        hits: drawn from the right ones, at most.
    """

    errors: int = 6
    hits: int = 4

    def __post_init__(self) -> None:
        for name in ("errors", "hits"):
            require(0 <= getattr(self, name) <= 100, f"explain.{name}", getattr(self, name), "use 0 to 100 clips")
