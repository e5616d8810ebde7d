"""Forecast what a run will take: time, energy and disk. Standard library only.

Rules that have run before count with their recorded time, the others with an estimate from the data and the machine.
The constants were fitted to runs of the demo (48 videos) and of 120 surveillance clips on 2 cores without a GPU, and
are chosen on the upper side.
"""

import json
import math
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from clipfold.resources.usage import WATTS_PER_CORE, WATTS_PER_GPU, Request, Usage

_CALIBRATION_SECONDS = 0.015
"""Time of `machine_speed`'s loop on the machine to which the constants were fitted, idle: 0.012 to 0.023 s."""
_SAMPLED = 16  # videos
_MEGAPIXELS_PER_BYTE = 1e-4
"""Typical of H.264 at normal quality."""
_MEGAPIXELS_PER_VIDEO = 10.0
"""Of two seconds of small frames."""
_GPU_GMAC = 5000.0
"""Multiply-adds per second of a busy GPU, in 1e9: well below the peak of recent GPUs."""
_CORE_GMAC = 30.0
"""Multiply-adds per second and core, in 1e9."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The data and models that decide how long jobs take.

    Args:
        videos: Videos in the manifest.
        shards: Number of shards.
        groups: Number of groups of shards, which an encoder's job embeds.
        megapixels: Pixels of all frames of all videos, in 1e6.
        copies: Augmented copies per video.
        stored: Bytes of one video's views by name.
        size: Edge of the stored clips in pixels.
        folds: Number of folds.
        models: Name -> `input`, `settings`, `gmac` and whether it learns from embeddings (`embedded`), of each model;
            also by the key of its frozen encoder.
        speed: Speed of this machine as a share of the one to which the constants were fitted.
    """

    videos: int
    shards: int
    groups: int
    megapixels: float
    copies: int
    stored: Mapping[str, int]
    size: int
    folds: int
    models: Mapping[str, Any] = field(default_factory=dict)
    speed: float = 1.0


def megapixels(
    files: Sequence[tuple[str, int]], others: Sequence[str], command: Sequence[str], seconds: float = 3
) -> float:
    """Estimate the pixels of all frames of videos from a few of them.

    Args:
        files: Path and size in bytes of each file.
        others: Paths of folders of frames and members of tar files, whose size is not looked up.
        command: Command that reads paths and prints their pixels, see `clipfold.video.sample`.
        seconds: Time limit; after it, or if no file can be read, a typical value is used.
    """
    by_size = [path for path, _ in sorted(files, key=lambda file: file[1])]
    spread = [path for paths in (by_size, others) for path in paths[:: max(1, len(paths) // _SAMPLED)]]
    try:
        done = subprocess.run(
            command,
            input="\n".join(path for path in spread if "\n" not in path),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
        found = json.loads(done.stdout)
        per_byte, per_video = float(found["per_byte"]), float(found["per_video"])
    except (OSError, ValueError, TypeError, KeyError, subprocess.SubprocessError):
        per_byte, per_video = _MEGAPIXELS_PER_BYTE, _MEGAPIXELS_PER_VIDEO
    return per_byte * sum(size for _, size in files) + per_video * len(others)


def machine_speed() -> float:
    """Measure this machine's speed with a short loop, as a share of the reference machine's."""
    best = float("inf")
    for _ in range(5):  # the best of a few: other processes only slow it down
        start = time.perf_counter()
        total = 0
        for i in range(300_000):
            total += i * i
        best = min(best, time.perf_counter() - start)
    return min(4.0, max(0.25, _CALIBRATION_SECONDS / best))


def seconds_of(rule: str, work: Work, threads: int, gpus: int) -> float:
    """Estimate the time of one job of a rule, on the upper side.

    Args:
        rule: Name of the rule.
        work: The data and models.
        threads: CPU cores of the job.
        gpus: GPUs that the job will actually get.
    """
    per_job = work.videos / max(1, work.shards)
    clip_megapixels = work.stored.get("clips", 0) / 3e6
    stage, _, model = rule.partition("_")
    if stage in ("train", "final", "explain", "embed"):
        return _model_seconds(stage, model, work, threads, gpus) / work.speed
    estimates = {
        "probe": 1 + 0.02 * per_job,
        "decode": 1 + (0.04 * per_job + work.megapixels / max(1, work.shards) / 150) / max(1, threads),
        "augment": 0.5 + 0.0005 * per_job * work.copies,
        "copies": 0.5 + 0.06 * clip_megapixels * per_job * work.copies,
        "resize": 0.5 + 0.02 * clip_megapixels * per_job,
        "features": 0.5 + 0.06 * per_job,
        "hashes": 0.3 + 0.015 * per_job,
        "index": 5 + 0.003 * work.videos,
        "search": 600 + 0.023 * work.videos if model == "pictures" else 5 + 0.0006 * work.videos,  # a block of 4,096
        "matches": 0.5 + 0.02 * min(work.videos, 4096),
        "splits": 3 + 0.003 * work.videos,
        "audit": 0.6 + 0.001 * work.videos,
        "coarser": 1 + 0.006 * min(work.videos, 1000),
        "evaluate": 2 + (1.2 + 0.001 * work.videos) * max(1, len(work.models)),
        "report": 3.5 + 0.003 * work.videos,
    }
    return estimates.get(stage, 0.5) / work.speed


def _model_seconds(stage: str, name: str, work: Work, threads: int, gpus: int) -> float:
    model = work.models.get(name)
    gmac = model["gmac"] if model else 1.0
    per_second = _GPU_GMAC * gpus if gpus else _CORE_GMAC * max(1, threads)
    if stage == "embed":
        return 5 + work.videos / max(1, work.groups) * (1 + work.copies) * (gmac / per_second + 0.004)
    if model is None or model["input"] == "predictions":
        return 1.0 if model else 3 + 0.003 * work.videos
    if model["input"] == "features":
        inner = 4 if stage == "explain" else _fits(model["settings"]) * _fit_seconds(model["settings"], work.videos)
        return float(3 + 0.003 * work.videos + inner * model["settings"].get("seeds", 1))
    step = 3 * gmac / per_second + 0.004
    if stage == "explain":
        return float(6 + 10 * (0.5 + 32 * step * model["settings"]["seeds"]))
    if model["embedded"]:  # only what follows the encoder is trained
        step = 0.004
    shares = 1.8 if model["settings"]["refit"] else 0.8  # of what a fold may learn from
    trained: float = work.videos * (1.0 if stage == "final" else (1 - 1 / max(2, work.folds)) * shares)
    return float(4 + trained * model["settings"]["epochs"] * model["settings"]["seeds"] * step)


def _fits(settings: Mapping[str, Any]) -> int:
    """Count the fits of a model on features: each combination of its grids in five inner folds, and the chosen one."""
    grids = [len(value["grid"]) for value in settings.values() if isinstance(value, Mapping)]
    return 5 * math.prod(grids) + 1


def _fit_seconds(settings: Mapping[str, Any], videos: int) -> float:
    """Estimate one of these fits; a tree takes longer than a linear model."""
    return 0.02 + 1e-4 * videos + 0.005 * float(settings.get("max_iter", 0))


def disk_bytes(rules: Counter[str], work: Work) -> float:
    """Estimate the disk space of the results that the planned jobs write."""
    clips = work.stored.get("clips", 0)
    shown = [m for m in work.models.values() if m["input"] == "clips"]
    sizes = {m["settings"]["size"] for m in shown} - {work.size}
    of_copies = {m["settings"]["size"] for m in shown if not m.get("embedded", True)}
    share = {rule: min(1.0, count / max(1, work.shards)) for rule, count in rules.items()}
    written = share.get("decode", 0) * sum(work.stored.values())
    written += share.get("copies", 0) * work.copies * sum(clips * (s / work.size) ** 2 for s in of_copies)
    written += share.get("resize", 0) * sum(clips * (s / work.size) ** 2 for s in sizes)
    written += share.get("hashes", 0) * 110_000
    fits = sum(count for rule, count in rules.items() if rule.startswith(("train_", "final_")))
    return float(written * work.videos + fits * 1e6)


def forecast(
    jobs: Sequence[tuple[str, Request]],
    usage: Mapping[str, Sequence[Usage]],
    work: Work,
    cores: int | None,
    at_a_time: int,
    free_bytes: float,
    here: int = 0,
) -> str:
    """Describe what the planned jobs will take, in one or two lines.

    Args:
        jobs: Rule and request of each job.
        usage: Recorded usage by rule.
        work: The data and models.
        cores: Cores of this machine; None on a cluster.
        at_a_time: Most jobs at once on a cluster.
        free_bytes: Free disk space where the results go.
        here: GPUs of this machine.
    """
    rules = Counter(rule for rule, _ in jobs)
    recorded = {rule: fmean(each.seconds for each in usage[rule]) for rule in rules if usage.get(rule)}
    core_seconds = gpu_seconds = longest = total = 0.0
    for rule, asked in jobs:
        gpus = asked.gpus if cores is None else min(asked.gpus, here)
        threads = asked.threads if cores is None else min(asked.threads, cores)
        seconds = recorded[rule] if rule in recorded else seconds_of(rule, work, threads, gpus)
        core_seconds += seconds * threads
        gpu_seconds += seconds * gpus
        total, longest = total + seconds, max(longest, seconds)
    starts = 0.3 * len(jobs)
    wall = max(longest, total / at_a_time + 10 if cores is None else (core_seconds + starts) / cores + 5)
    disk = disk_bytes(rules, work)
    kwh = (core_seconds * WATTS_PER_CORE + gpu_seconds * WATTS_PER_GPU) / 3.6e6
    end = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + wall))
    parts = [f"{core_seconds / 3600:.2g} core-hours"]
    parts += [f"{gpu_seconds / 3600:.2g} GPU-hours"] if gpu_seconds else []
    parts += [f"{kwh:.2g} kWh", f"{_size(disk)} of disk ({_size(free_bytes)} free)"]
    text = f"Forecast: {len(jobs)} jobs, about {_span(wall)} (until {end}), {', '.join(parts)}."
    if len(recorded) < len(rules):
        text += f" Recorded times for {len(recorded)} of {len(rules)} rules, estimates for the others."
    if disk > free_bytes:
        text += f"\nThe results need about {_size(disk)}, but only {_size(free_bytes)} are free: free some space first."
    return text


def _span(seconds: float) -> str:
    """Format a duration in a suitable unit.

    >>> _span(42), _span(200), _span(7500)
    ('42 s', '3 min', '2.1 hours')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _size(count: float) -> str:
    """Format a number of bytes in a suitable unit.

    >>> _size(2_500_000), _size(3.4e10)
    ('2 MB', '34.0 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
