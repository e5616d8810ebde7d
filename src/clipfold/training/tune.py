"""Find the settings of a network's computation that train it fastest on this machine, by measuring them in turn."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from clipfold.checks import require
from clipfold.models.device import is_out_of_memory
from clipfold.models.model import Model
from clipfold.training.trial_steps import TrialSteps, changed, compare

GAIN = 1.05
"""Least ratio of speeds for which a setting is changed: less is within the noise of a machine that others use, too."""

_COMPILE_S = 90.0  # seconds that compiling may take, to be left of the time limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A way to compute the same training.

    Args:
        settings: The settings that change.
        threads: CPU threads of a job.
        numbers: What the change means for the trained weights: nothing, or a different rounding or normalisation.
    """

    settings: Mapping[str, Any]
    threads: int
    numbers: str

    @property
    def name(self) -> str:
        """The change as in a config."""
        return ", ".join(f"{key}: {json.dumps(value)}" for key, value in self.settings.items()).replace('"', "") or (
            f"threads: {self.threads}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A change, measured beside the best settings before it.

    Args:
        change: The change.
        speed: Clips per second without it, on a CPU of one core; 0 if it was not measured.
        ratio: The speed with it, over that; 0 likewise.
        kept: Whether it is among the best.
        why: Why it was not measured; else empty.
    """

    change: Change
    speed: float
    ratio: float
    kept: bool
    why: str = ""


def candidates(settings: Mapping[str, Any], threads: int, cores: int, gpu: bool) -> Iterator[Change]:
    """List what to try for a model with some settings, in this order; compilation, which takes long, is last.

    Args:
        settings: All settings of the model.
        threads: CPU threads of a job.
        cores: CPU cores of the machine.
        gpu: Whether it computes on a GPU.
    """

    def change(numbers: str, **own: Any) -> Change:
        return Change(settings=own, threads=threads, numbers=numbers)

    plain = settings["compile"] == "none" and not settings["checkpointing"]
    if settings["batch_size"] != "auto":
        total = settings["batch_size"] * settings["accumulate"]
        for size in (total, *(size for size in (16, 8, 4, 2) if size < total)):
            if total % size == 0 and size != settings["batch_size"]:
                yield change("normalised by other batches", batch_size=size, accumulate=total // size)
    yield change("rounded differently", channels_last=not settings["channels_last"])
    if gpu:
        if settings["precision"] == "fp32":
            yield change("less precise", precision="auto")
        if settings["deterministic"]:
            yield change("differ from run to run", deterministic=False)
        if plain and not settings["graph"]:
            yield change("the same", graph=True)
    else:
        for number in (2**power for power in range(cores.bit_length())):
            if number <= cores and number != threads:
                yield Change(settings={}, threads=number, numbers="rounded differently")
    if plain and not settings["graph"]:
        yield change("rounded differently", compile="default")


def tune(model: Model, cores: int, minutes: float, tell: Callable[[str], None]) -> list[Tried]:
    """Measure changes one after the other, each beside the best settings so far, and keep those that gain.

    On a CPU, where the fits of a run share the cores, a change has to gain clips per second of a core.

    Args:
        model: A network on clips.
        cores: CPU cores of the machine.
        minutes: Most time for all; what does not fit in is listed as not measured.
        tell: Takes a line for each measurement.

    Returns:
        What was tried, in order.

    Raises:
        ValueError: The model is none on clips, or trains on embeddings.
        RuntimeError: A single clip does not fit into memory.
    """
    require(model.input == "clips", "model", model.name, "name an architecture on clips: others train in seconds")
    embedded = model.encoder is not None
    require(not embedded, f"{model.name}: freeze", True, "such a network trains in seconds: there is nothing to tune")
    end = time.monotonic() + 60 * minutes
    best, best_model = TrialSteps(model, model.needs.threads), model
    gpu = torch.cuda.is_available() and model.settings["device"] != "cpu"
    found: list[Tried] = []
    for each in candidates(model.settings, best.threads, cores, gpu):
        if each.settings and each.threads != best.threads:
            each = Change(settings=each.settings, threads=best.threads, numbers=each.numbers)
        left = end - time.monotonic()
        if left < (_COMPILE_S if "compile" in each.settings else 0):
            found.append(Tried(change=each, speed=0, ratio=0, kept=False, why="no time left: use --minutes"))
            continue
        if "compile" in each.settings and best_model.settings["graph"]:
            found.append(Tried(change=each, speed=0, ratio=0, kept=False, why="a graph is kept"))
            continue
        other_model = changed(best_model, each.settings)
        try:
            trial = TrialSteps(other_model, each.threads)
            speed, ratio = compare(best, trial)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) and "does not fit into memory" not in str(error):
                raise
            found.append(Tried(change=each, speed=0, ratio=0, kept=False, why="does not fit into memory"))
            continue
        found.append(Tried(change=each, speed=speed, ratio=ratio, kept=ratio >= GAIN))
        tell(f"{each.name}: {ratio:.2f} times{', kept' if ratio >= GAIN else ''}")
        if found[-1].kept:
            best, best_model = trial, other_model
    return found


def table(tried: Sequence[Tried]) -> list[str]:
    """Format what was tried, a line each."""
    lines = [f"{'change':36} {'clips/s':>8} {'times':>6}  {'kept':4}  numbers"]
    for each in tried:
        measured = f"{each.speed:8.1f} {each.ratio:6.2f}" if not each.why else f"{each.why:>15}"
        lines.append(f"{each.change.name:36} {measured}  {'yes' if each.kept else 'no':4}  {each.change.numbers}")
    return lines


def as_config(entry: Mapping[str, Any], tried: Sequence[Tried]) -> str:
    """Write the best settings as an entry of `models:`.

    Args:
        entry: The entry that was tuned.
        tried: From `tune`.
    """
    best = dict(entry)
    for each in tried:
        if each.kept:
            best |= each.change.settings or {"threads": each.change.threads}
    return f"models:\n  - {json.dumps(best)}\n"  # JSON is YAML
