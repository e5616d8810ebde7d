"""Estimate a fit's resources from the recorded usage of similar fits. Standard library only."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipfold.models.architecture import Resources
from clipfold.models.model import Model
from clipfold.storage.records import amount, parse_json, read_or_ignore

MARGIN = 1.25
AROUND_MB = 400  # the two Snakemake processes around a cluster's job
REFIT = 2.25
"""Time of a fit with `refit`: the second training has the usual validation split, a fourth of train, as well."""
EMPTY_MB = 400  # a fit on features before it reads any
FEATURES_MB = 0.012
"""Of each video, in a fit on features: 224 columns, several times. `benchmarks/feature_fits.py` measures it."""
FEATURES_IN_TIME = 400_000
"""Videos for which the catalog's time of a fit on features is enough."""
SLACK_MINUTES = 10  # to start, and to wait for a slow file system


@dataclass(frozen=True, slots=True)
class Fit:
    """What a fit took.

    Args:
        module: Module of the architecture.
        settings: Settings of the model.
        videos: Number of videos in all splits.
        seconds: Duration.
        memory_mb: Peak memory of all its processes in MB; None if it was not recorded.
    """

    module: str
    settings: Mapping[str, Any]
    videos: float
    seconds: float
    memory_mb: float | None


def read_fits(paths: Iterable[Path]) -> list[Fit]:
    """Read the records of fits (`fit.json`); odd ones, such as those of another version, are ignored with a warning."""
    fits = [read_or_ignore(path, _fit) for path in paths]
    return [fit for fit in fits if fit is not None]


def _fit(content: bytes) -> Fit:
    record = parse_json(content)
    settings = dict(record["settings"])
    for name in ("epochs", "seeds"):
        if amount(settings.get(name, 1)) < 1:
            raise ValueError(f"{name} is less than 1")
    return Fit(
        module=record["architecture"],
        settings=settings,
        videos=sum(amount(record[f"{split}_videos"]) for split in ("train", "val", "test")),
        seconds=amount(record["seconds"]),
        memory_mb=amount(record["peak_mb"]) * amount(record.get("processes", 1)) if "peak_mb" in record else None,
    )


def estimate(model: Model, fits: Sequence[Fit], videos: int) -> Resources:
    """Estimate the resources of a model's fits from earlier ones.

    Only fits of the same architecture count whose settings that shape memory are equal. Memory is the largest peak
    times 1.25. Time is the longest, in proportion to videos, epochs and trainings, times 2. Figures in the config take
    precedence; without such fits, the catalog's figures apply, the time for each training. Those of a fit on features
    grow with the videos: it reads all of them at once.

    Args:
        model: The model.
        fits: Its earlier fits.
        videos: Number of videos in the manifest.
    """
    needs = model.needs
    shape = [key for key, setting in model.known.declared.items() if setting.memory]
    similar = [
        fit
        for fit in fits
        if fit.module == model.module and all(fit.settings.get(key) == model.settings[key] for key in shape)
    ]
    each, crowd = (FEATURES_MB, videos / FEATURES_IN_TIME) if model.input == "features" else (0.0, 0.0)
    peaks = [fit.memory_mb + each * max(0, videos - fit.videos) for fit in similar if fit.memory_mb is not None]
    if "memory_mb" not in model.fixed:
        found = max(peaks) * MARGIN if peaks else max(needs.memory_mb - AROUND_MB, EMPTY_MB + each * videos)
        needs = replace(needs, memory_mb=math.ceil((found + AROUND_MB) / 100) * 100)
    minutes = [fit.seconds / 60 * _growth(model, fit, videos) for fit in similar]
    if "runtime" not in model.fixed:
        runtime = (
            math.ceil(max(minutes) * 2) + SLACK_MINUTES
            if minutes
            else math.ceil(needs.runtime * _trainings(model.settings) * max(1.0, crowd))
        )
        needs = replace(needs, runtime=runtime)
    return needs


def _growth(model: Model, fit: Fit, videos: int) -> float:
    """Compute the ratio of a fit's time to that of the recorded one."""
    epochs = float(model.settings.get("epochs", 1) / fit.settings.get("epochs", 1))
    more = epochs * _trainings(model.settings) / _trainings(fit.settings)
    return max(1.0, videos / max(1, fit.videos)) * max(1.0, more)


def _trainings(settings: Mapping[str, Any]) -> float:
    """Return the time of a fit's trainings relative to that of a single one."""
    return float(settings.get("seeds", 1)) * (REFIT if settings.get("refit") else 1.0)
