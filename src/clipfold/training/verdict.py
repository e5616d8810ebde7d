"""Say what bounds the speed of training, and the one setting that would help most."""

from collections.abc import Mapping
from typing import Any

_WAITING = 0.1  # share of the time
_BUSY = 80.0  # percent
_ROOM = 0.4  # share of a GPU's memory


def verdict(
    waiting: float, busy: float | None, memory: float | None, device: str, settings: Mapping[str, Any]
) -> tuple[str, str]:
    """Name the bottleneck of training and its remedy.

    The order of the remedies is a matter of principle, not yet of measurement on GPUs.

    Args:
        waiting: Share of time spent waiting for batches, in [0, 1].
        busy: How much of the time the GPU ran anything, in percent, if known.
        memory: Share of the GPU's memory that was in use at most, in [0, 1], if known.
        device: Type of the device, `cuda` or `cpu`.
        settings: Settings of the model.

    Returns:
        One line each; the remedy is empty if there is none.

    >>> verdict(0.4, 60.0, 0.1, "cuda", {"workers": 2})
    ('bound by reading: 40 % of the time is spent waiting for clips', 'workers: 4, with threads: 6')
    """
    if waiting > _WAITING:
        workers = 2 * settings["workers"] or 2
        remedy = f"workers: {workers}, with threads: {workers + 2}" if device == "cuda" else "a faster disk"
        return f"bound by reading: {100 * waiting:.0f} % of the time is spent waiting for clips", remedy
    if device == "cuda" and busy is not None and busy < _BUSY:
        bound = f"bound by launching kernels: the GPU is busy {busy:.0f} % of the time"
        return bound, _fewer_launches(settings, memory)
    return "bound by computing", _less_work(settings, memory) if device == "cuda" else ""


def _fewer_launches(settings: Mapping[str, Any], memory: float | None) -> str:
    room = memory is not None and memory < _ROOM
    if room and settings["checkpointing"]:
        return "checkpointing: false"
    if room and settings["accumulate"] > 1 and settings["batch_size"] != "auto":
        return f"batch_size: auto, with accumulate: {settings['batch_size'] * settings['accumulate']}, the same batch"
    if settings["compile"] == "none" and not (settings["checkpointing"] or settings["graph"]):
        return "graph: true, the same numbers by fewer launches"
    return "fits_per_gpu: 2, or a larger batch_size, which is another training" if room else ""


def _less_work(settings: Mapping[str, Any], memory: float | None) -> str:
    if settings["precision"] == "fp32":
        return "precision: auto, which is bf16 where the GPU has it"
    if settings["checkpointing"] and memory is not None and memory < _ROOM:
        return "checkpointing: false"
    return "deterministic: false" if settings["deterministic"] else ""
