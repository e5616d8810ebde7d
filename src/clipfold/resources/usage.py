"""Record the resources that jobs requested, and compare them with their usage. Standard library only.

`python -m clipfold.resources.usage RESULTS` prints the comparison as a table.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipfold.resources import speed
from clipfold.storage.records import amount, parse_json, read_or_ignore
from clipfold.storage.replace import replacing

WATTS_PER_CORE = 10.0
WATTS_PER_GPU = 300.0
"""Typical of servers under load; energies are rough figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The resources that one job requests: host memory in MB, minutes, CPU cores, GPUs."""

    memory_mb: int
    runtime: int
    threads: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that one job used: seconds, and peak host memory in MB (0 if it was too short to measure)."""

    seconds: float
    memory_mb: float


def read_usage(benchmarks: Path) -> dict[str, list[Usage]]:
    """Read Snakemake's records of jobs: rule -> usage of each of its jobs in its last run.

    Records that cannot be read are ignored with a warning: they may be truncated, or not be files at all.
    """
    usage: dict[str, list[Usage]] = defaultdict(list)
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        if rows := read_or_ignore(path, _usage):
            usage[rule] += rows
    return usage


def _usage(content: bytes) -> list[Usage]:
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="\t")
    return [Usage(amount(float(row["s"])), megabytes(row["max_rss"])) for row in rows]


def megabytes(text: str) -> float:
    """Read an amount that is `NA` or `-` where a job was too short to measure it, as 0."""
    return 0.0 if text in ("NA", "-") else amount(float(text))


def record_requests(path: Path, jobs: Iterable[tuple[str, Request]]) -> None:
    """Record the largest request of each rule, of this run and earlier ones."""
    largest = read_requests(path)
    for rule, asked in jobs:
        if rule not in largest or asked.memory_mb > largest[rule].memory_mb:
            largest[rule] = asked
    with replacing(path) as file:
        file.write(
            f"{json.dumps({rule: asdict(asked) for rule, asked in sorted(largest.items())}, indent=2)}\n".encode()
        )


def read_requests(path: Path) -> dict[str, Request]:
    """Read the largest request of each rule, as recorded by `record_requests`.

    A record that cannot be read is ignored with a warning: the next run writes it again.
    """
    return read_or_ignore(path, _requests) or {}


def _requests(content: bytes) -> dict[str, Request]:
    return {str(rule): _request(asked) for rule, asked in parse_json(content).items()}


def _request(asked: Mapping[str, Any]) -> Request:
    request = Request(**asked)
    if not all(isinstance(value, int) and amount(value) == value for value in asdict(request).values()):
        raise ValueError(f"{asked} are not whole numbers")
    return request


def table(requests: Mapping[str, Request], usage: Mapping[str, Sequence[Usage]]) -> str:
    """Compare requested with used resources, a line per rule."""
    lines = [f"{'rule':28} {'jobs':>5} {'asked MB':>9} {'peak MB':>8} {'used':>5} {'asked min':>10} {'longest':>8}"]
    for rule, some in sorted(usage.items()):
        peak, longest = max(use.memory_mb for use in some), max(use.seconds for use in some) / 60
        asked = requests.get(rule)
        if asked is None:
            memory, share, minutes = "?", "?", "?"
        else:
            memory, minutes = str(asked.memory_mb), str(asked.runtime)
            share = f"{100 * peak / asked.memory_mb:.0f} %" if asked.memory_mb else "?"
        lines.append(f"{rule:28} {len(some):5} {memory:>9} {peak:8.0f} {share:>5} {minutes:>10} {longest:8.1f}")
    return "\n".join(lines)


def compared(results: Path) -> str:
    """Compare the resources of a run's jobs, a line per rule; then say how networks were trained.

    Args:
        results: The folder of results.

    Raises:
        ValueError: No job has run there.
    """
    found = read_usage(results / "benchmarks")
    if not found:
        raise ValueError(f"{results / 'benchmarks'} has no records: no job has run there yet")
    requests, speeds = read_requests(results / "resources.json"), speed.table(speed.read_speeds(results / "models"))
    return "\n\n".join(filter(None, [table(requests, found), speeds]))
