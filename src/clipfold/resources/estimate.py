"""Estimate a fit's resources from the recorded usage of similar fits. Standard library only."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipfold.models.architecture import Resources
from clipfold.models.catalog import ARCHITECTURES, Model

Record = Mapping[str, Any]

MARGIN = 1.25
AROUND_MB = 400  # the two Snakemake processes around a cluster's job
SLACK_MINUTES = 10  # to start, and to wait for a slow file system


def read_records(paths: Iterable[Path]) -> list[Record]:
    """Read the records of fits (`fit.json`); skip those that cannot be read."""
    found = []
    for path in paths:
        try:
            found.append(json.loads(path.read_bytes()))
        except (OSError, ValueError):  # removed or half-written by a run in progress
            continue
    return found


def estimate(model: Model, records: Sequence[Record], videos: int) -> Resources:
    """Estimate the resources of a model's fits from the records of earlier ones.

    Only records count whose settings that shape memory are equal. Memory is the largest peak times 1.25. Time is the
    longest, in proportion to videos and epochs, times 2. Figures in the config take precedence; without records, the
    catalog's figures apply.

    Args:
        model: The model.
        records: Records of its fits.
        videos: Number of videos in the manifest.
    """
    needs = model.needs
    shape = [key for key, setting in ARCHITECTURES[model.architecture].declared.items() if setting.memory]
    similar = [r for r in records if all(r["settings"].get(key) == model.settings[key] for key in shape)]
    peaks = [r["peak_mb"] * r.get("processes", 1) for r in similar if "peak_mb" in r]
    if peaks and "memory_mb" not in model.fixed:
        needs = replace(needs, memory_mb=math.ceil((max(peaks) * MARGIN + AROUND_MB) / 100) * 100)
    minutes = [float(r["seconds"]) / 60 * _growth(model, r, videos) for r in similar]
    if minutes and "runtime" not in model.fixed:
        needs = replace(needs, runtime=math.ceil(max(minutes) * 2) + SLACK_MINUTES)
    return needs


def _growth(model: Model, record: Record, videos: int) -> float:
    """Compute the ratio of a fit's time to that of the recorded one."""
    had = sum(int(record[f"{split}_videos"]) for split in ("train", "val", "test"))
    epochs = float(model.settings.get("epochs", 1) / record["settings"].get("epochs", 1))
    return max(1.0, videos / max(1, had)) * max(1.0, epochs)
