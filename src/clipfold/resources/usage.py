"""What jobs asked for against what they used, and a forecast of what is yet to run. Standard library only.

`python -m clipfold.resources.usage RESULTS` prints the first as a table.
"""

import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

WATTS_PER_CORE = 10.0
WATTS_PER_GPU = 300.0
"""Typical of servers under load; the forecast's energy is a rough figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What one job asks for: host memory in MB, minutes, cores, graphics processors."""

    memory_mb: int
    runtime: int
    threads: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one job used: seconds, and peak host memory in MB; 0 if it was too short to be measured."""

    seconds: float
    memory_mb: float


def read_usage(benchmarks: Path) -> dict[str, list[Usage]]:
    """Read Snakemake's records of jobs: rule -> use of each of its jobs that ran last."""
    uses: dict[str, list[Usage]] = defaultdict(list)
    for path in sorted(benchmarks.rglob("*.tsv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                memory = row["max_rss"]
                uses[path.relative_to(benchmarks).parts[0].removesuffix(".tsv")].append(
                    Usage(float(row["s"]), 0.0 if memory in ("NA", "-") else float(memory))
                )
    return uses


def record_requests(path: Path, jobs: Iterable[tuple[str, Request]]) -> None:
    """Write the largest request of each rule, beside those of earlier runs."""
    largest = {rule: Request(**asked) for rule, asked in _noted(path).items()}
    for rule, asked in jobs:
        if rule not in largest or asked.memory_mb > largest[rule].memory_mb:
            largest[rule] = asked
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({rule: asdict(asked) for rule, asked in sorted(largest.items())}, indent=2) + "\n")
    part.replace(path)


def _noted(path: Path) -> dict[str, dict[str, int]]:
    try:
        noted: dict[str, dict[str, int]] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return noted


def forecast(
    jobs: Sequence[tuple[str, Request]], uses: Mapping[str, Sequence[Usage]], cores: int | None, at_a_time: int
) -> str:
    """What running jobs will take, in a few lines.

    Args:
        jobs: rule and request of each.
        uses: of jobs that have run; a rule without any counts with the time that it asks for, its upper bound.
        cores: of this machine; None on a cluster.
        at_a_time: most jobs at once.
    """
    hours = {rule: fmean(use.seconds for use in some) / 3600 for rule, some in uses.items() if some}
    spans = [hours.get(rule, asked.runtime / 60) for rule, asked in jobs]
    core_hours = sum(span * asked.threads for span, (_, asked) in zip(spans, jobs, strict=True))
    gpu_hours = sum(span * asked.gpus for span, (_, asked) in zip(spans, jobs, strict=True))
    wall = max([sum(spans) / at_a_time if cores is None else core_hours / cores, *spans], default=0.0)
    kwh = (core_hours * WATTS_PER_CORE + gpu_hours * WATTS_PER_GPU) / 1000
    end = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + 3600 * wall))
    lines = [
        f"Forecast: {len(jobs)} jobs, {core_hours:.2f} core-hours, {gpu_hours:.2f} GPU-hours, {kwh:.2f} kWh; "
        f"{wall:.2f} hours with no wait, until {end}."
    ]
    unknown = sorted({rule for rule, _ in jobs} - hours.keys())
    if unknown:
        lines.append(f"Never run here, so counted with the time they ask for, an upper bound: {', '.join(unknown)}.")
    return "\n".join(lines)


def table(requests: Mapping[str, Mapping[str, int]], uses: Mapping[str, Sequence[Usage]]) -> str:
    """Requested against used, a line per rule."""
    lines = [f"{'rule':28} {'jobs':>5} {'asked MB':>9} {'peak MB':>8} {'used':>5} {'asked min':>10} {'longest':>8}"]
    for rule, some in sorted(uses.items()):
        peak, longest = max(use.memory_mb for use in some), max(use.seconds for use in some) / 60
        asked = requests.get(rule)
        if asked is None:
            memory, share, minutes = "?", "?", "?"
        else:
            memory, share = str(asked["memory_mb"]), f"{100 * peak / asked['memory_mb']:.0f} %"
            minutes = str(asked["runtime"])
        lines.append(f"{rule:28} {len(some):5} {memory:>9} {peak:8.0f} {share:>5} {minutes:>10} {longest:8.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    results = Path(sys.argv[1])
    found = read_usage(results / "benchmarks")
    if not found:
        raise SystemExit(f"{results / 'benchmarks'} has no records: no job has run there yet")
    print(table(_noted(results / "resources.json"), found))
