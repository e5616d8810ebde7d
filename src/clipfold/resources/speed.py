"""Summarise how fast networks were trained, on what, and what would make it faster. Standard library only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from clipfold.storage.records import amount, parse_json, read_or_ignore


@dataclass(frozen=True, slots=True)
class Speed:
    """How the fits of one network were trained.

    Args:
        model: Name of the model.
        fits: Number of fits.
        device: The device, or several; with the reason where it was no GPU.
        clips_per_second: Mean over the fits.
        busy: How much of the time the GPU ran anything, in percent, mean over the fits; None if unknown.
        memory: Largest share of the GPU's memory in use, in [0, 1]; None if unknown.
        bound: What bounded the slowest fit.
        remedy: The setting that would help most; empty if there is none.
    """

    model: str
    fits: int
    device: str
    clips_per_second: float
    busy: float | None
    memory: float | None
    bound: str
    remedy: str


def summarise(model: str, records: Iterable[Mapping[str, Any]]) -> Speed | None:
    """Summarise the records (`fit.json`) of a model's fits; None if it is no network, or of another version."""
    fits = [record for record in records if "verdict" in record.get("speed", {})]
    if not fits:
        return None
    slowest = min(fits, key=lambda fit: amount(fit["speed"]["clips_per_second"]))["speed"]
    busy = _known(fit["speed"].get("device_utilisation") for fit in fits)
    memory = _known(fit["speed"].get("device_memory_share") for fit in fits)
    return Speed(
        model=model,
        fits=len(fits),
        device=", ".join(sorted({device_of(fit) for fit in fits})),
        clips_per_second=fmean(amount(fit["speed"]["clips_per_second"]) for fit in fits),
        busy=fmean(busy) if busy else None,
        memory=max(memory) if memory else None,
        bound=str(slowest["verdict"]),
        remedy=str(slowest.get("remedy", "")),
    )


def device_of(record: Mapping[str, Any]) -> str:
    """Name the device of a fit, and why it was not a GPU."""
    return f"{record['device']}: {record['why_cpu']}" if record.get("why_cpu") else str(record["device"])


def read_speeds(models: Path) -> list[Speed]:
    """Read how the networks of a run were trained.

    Args:
        models: The folder `results/models`.
    """
    speeds = []
    for folder in sorted(path for path in models.glob("*") if path.is_dir()):
        records = (read_or_ignore(path, _record) for path in sorted(folder.glob("fold-*/fit.json")))
        if speed := summarise(folder.name, (record for record in records if record)):
            speeds.append(speed)
    return speeds


def _record(content: bytes) -> dict[str, Any]:
    record = dict(parse_json(content))
    summarise("", [record])  # what cannot be summarised is odd
    return record


def _known(values: Iterable[Any]) -> list[float]:
    return [amount(float(value)) for value in values if value is not None]


def table(speeds: Sequence[Speed]) -> str:
    """Say how networks were trained, a few lines per model; empty if there are none."""
    lines = []
    for each in speeds:
        busy = "" if each.busy is None else f", busy {each.busy:.0f} % of the time"
        memory = "" if each.memory is None else f", {100 * each.memory:.0f} % of its memory"
        lines.append(f"train_{each.model}: {each.clips_per_second:.3g} clips/s on {each.device}{busy}{memory}")
        lines.append(f"  {each.bound}" + (f"; what would help most: {each.remedy}" if each.remedy else ""))
    return "\n".join(lines)
