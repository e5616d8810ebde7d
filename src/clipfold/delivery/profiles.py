"""Profiles of prediction, from careful to fast. Standard library only: the command reads it before the libraries."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from clipfold.checks import require, suggest

TRAINED = "trained"
"""As the model was trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The settings by which prediction may save time; `benchmarks/profiles.py` measures what each gains and costs.

    Args:
        name: `quality`, `balanced`, `fast`, or one of them with what was changed.
        views_at_test: Views of a clip whose probabilities a network averages: 1, 2 (with its mirror image), 4 (also the
            middle of both, enlarged), or 0: as the model was trained.
        precision: Of networks: `fp32`, `bf16`, `fp16` or `trained`.
        compile: Mode of `torch.compile` of networks: `default`; with CUDA graphs, on a GPU, `reduce-overhead` or
            `max-autotune`; or `none`. The first run takes longer to start.
        fits: Most fits of the bundle to ask; 0: all. Metrics of the folds are those of one fit, not of their mean.
        enough: A class with this probability is taken, though not all fits of the bundle were asked yet; 1: all are
            asked. With a frozen encoder, whose embeddings the fits share, all are.
        loop_filter: Smooth the edges of blocks, if the run did.
        threads: Threads of the decoder of a long video.
        unchanged: A window takes the answer of an earlier one if no part of its frames differs by more, in grey levels;
            0: none does.
    """

    name: str = "balanced"
    views_at_test: int = 0
    precision: str = TRAINED
    compile: str = "none"
    fits: int = 0
    enough: float = 1.0
    loop_filter: bool = True
    threads: int = 1
    unchanged: float = 0.0

    def __post_init__(self) -> None:
        views = self.views_at_test
        require(views in (0, 1, 2, 4), "views_at_test", views, "use 1, 2, 4, or 0 (as trained)")
        known = ("fp32", "bf16", "fp16", TRAINED)
        require(self.precision in known, "precision", self.precision, f"use one of {', '.join(known)}")
        modes = ("none", "default", "reduce-overhead", "max-autotune")
        require(self.compile in modes, "compile", self.compile, f"use one of {', '.join(modes)}")
        require(self.fits >= 0, "fits", self.fits, "use 1 or more, or 0 (all)")
        require(0.5 <= self.enough <= 1, "enough", self.enough, "use a probability from 0.5 to 1")
        require(1 <= self.threads <= 16, "threads", self.threads, "use 1 to 16")
        require(0 <= self.unchanged <= 255, "unchanged", self.unchanged, "use 0 to 255 grey levels")

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that differ from `balanced`, by which bundles were evaluated."""
        usual = asdict(BALANCED)
        return {name: value for name, value in asdict(self).items() if name != "name" and value != usual[name]}

    @property
    def of_networks(self) -> dict[str, Any]:
        """The settings of networks that are not to be as trained, see `clipfold.models.load.load`."""
        given = {"views_at_test": self.views_at_test, "precision": self.precision, "compile": self.compile}
        return {name: value for name, value in given.items() if value not in (0, TRAINED, "none")}

    def __str__(self) -> str:
        changes = ", ".join(f"{name}={_text(value)}" for name, value in self.changes.items())
        return f"{self.name} ({changes or 'as trained'})"


BALANCED = Profile()
"""Predicts as the folds were evaluated, to the bit."""

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(name="quality", views_at_test=4, precision="fp32"),
        BALANCED,
        Profile(name="fast", loop_filter=False, threads=2, unchanged=3.0),
    )
}
"""From careful to fast."""


def profile_of(name: str, changes: Iterable[str] = ()) -> Profile:
    """Return a profile, with some of its settings changed.

    Args:
        name: One of `PROFILES`.
        changes: Each `SETTING=VALUE`.

    Raises:
        ValueError: There is no such profile or setting, or a value is out of its range.

    >>> str(profile_of("fast", ["threads=1", "unchanged=0"]))
    'fast, changed (loop_filter=false)'
    """
    if name not in PROFILES:
        raise ValueError(f"profile is {name!r}: {suggest(name, PROFILES)}")
    profile = PROFILES[name]
    kinds = {field.name: type(getattr(profile, field.name)) for field in fields(Profile) if field.name != "name"}
    given = {}
    for change in changes:
        setting, _, text = change.partition("=")
        if setting not in kinds:
            raise ValueError(f"set is {change!r}: {suggest(setting, kinds)}")
        given[setting] = _value(setting, text, kinds[setting])
    return replace(profile, **given, name=f"{name}, changed") if given else profile


def _value(setting: str, text: str, kind: type) -> Any:
    if kind is bool:
        require(text in ("true", "false"), setting, text, "use true or false")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{setting} is {text!r}: use a {'whole number' if kind is int else 'number'}") from None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
