"""What a fit asks the machine or cluster for: what such fits were seen to use, with a margin. Standard library only."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipfold.models.catalog import Model, Resources

Record = Mapping[str, Any]

SHAPE = ("size", "frames", "batch_size", "accumulate", "variant", "encoder", "width", "precision", "checkpointing")
"""Settings on which the memory of a fit hangs."""

MARGIN = 1.25
AROUND_MB = 400  # of the two Snakemake processes around a cluster's job
SLACK_MINUTES = 10  # to start, and to wait for a slow file system


def read_records(paths: Iterable[Path]) -> list[Record]:
    """Read what fits wrote of themselves (`fit.json`); one that cannot be read is left out."""
    found = []
    for path in paths:
        try:
            found.append(json.loads(path.read_bytes()))
        except (OSError, ValueError):  # removed or half-written by a run that goes on
            continue
    return found


def estimate(model: Model, records: Sequence[Record], videos: int) -> Resources:
    """What a model's fits need, from the records of those that have run.

    Memory counts if the settings that shape it are the same, and is the peak times 1.25. Time is the longest, in
    proportion to videos and epochs, times 2. A figure that the config gives holds, as does the catalog's where nothing
    has run.

    Args:
        model: whose needs.
        records: of its fits.
        videos: in the manifest.
    """
    needs = model.needs
    alike = [r for r in records if all(r["settings"].get(key) == model.settings.get(key) for key in SHAPE)]
    peaks = [r["peak_mb"] * r.get("processes", 1) for r in alike if "peak_mb" in r]
    if peaks and "memory_mb" not in model.fixed:
        needs = replace(needs, memory_mb=math.ceil((max(peaks) * MARGIN + AROUND_MB) / 100) * 100)
    minutes = [float(r["seconds"]) / 60 * _growth(model, r, videos) for r in alike]
    if minutes and "runtime" not in model.fixed:
        needs = replace(needs, runtime=math.ceil(max(minutes) * 2) + SLACK_MINUTES)
    return needs


def _growth(model: Model, record: Record, videos: int) -> float:
    """How many times as long a fit takes as the recorded one."""
    had = sum(int(record[f"{split}_videos"]) for split in ("train", "val", "test"))
    epochs = float(model.settings.get("epochs", 1) / record["settings"].get("epochs", 1))
    return max(1.0, videos / max(1, had)) * max(1.0, epochs)
