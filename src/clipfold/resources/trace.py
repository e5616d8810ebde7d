"""Show a run as a trace: when each job ran, beside which others. Standard library only.

The format is that of Chrome's tracing, the "Trace Event Format" (Google, 2016); `chrome://tracing` and
https://ui.perfetto.dev show it, the latter without sending the file anywhere.
"""

import csv
import heapq
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipfold.resources.usage import megabytes
from clipfold.storage.records import amount, read_or_ignore
from clipfold.storage.replace import replacing


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One job in its last run.

    Args:
        rule: Its rule.
        job: The job of this rule, such as `fold-0`; empty if the rule has only one.
        begin: Seconds since the epoch.
        seconds: Time that it took, without its start by Snakemake.
        cpu_s: CPU time, 0 if it was too short to measure.
        memory_mb: Peak host memory, 0 likewise.
    """

    rule: str
    job: str
    begin: float
    seconds: float
    cpu_s: float
    memory_mb: float


def read_spans(benchmarks: Path) -> list[Span]:
    """Read when jobs ran, in the order of their begin; the time of a job's record is that of its end."""
    spans = []
    for path in sorted(benchmarks.rglob("*.tsv")):
        rows = read_or_ignore(path, _rows)
        if not rows:
            continue
        name = path.relative_to(benchmarks).with_suffix("")
        seconds, cpu_s, memory_mb = rows[-1]
        begin = path.stat().st_mtime - seconds
        job = "/".join(name.parts[1:])
        spans.append(Span(rule=name.parts[0], job=job, begin=begin, seconds=seconds, cpu_s=cpu_s, memory_mb=memory_mb))
    return sorted(spans, key=lambda span: span.begin)


def _rows(content: bytes) -> list[tuple[float, float, float]]:
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="\t")
    return [
        (amount(float(row["s"])), megabytes(row.get("cpu_time") or "NA"), megabytes(row["max_rss"])) for row in rows
    ]


def lanes(spans: Iterable[Span]) -> list[int]:
    """Assign each job the first lane that is free when it begins, as few as there are jobs at once.

    >>> jobs = [Span(rule="a", job="", begin=b, seconds=s, cpu_s=0, memory_mb=0) for b, s in ((0, 4), (1, 1), (2, 9))]
    >>> lanes(jobs)
    [0, 1, 1]
    """
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    assigned = []
    for span in spans:
        while busy and busy[0][0] <= span.begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (span.begin + span.seconds, lane))
        assigned.append(lane)
    return assigned


def events(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Describe jobs as events, times in microseconds since the first; a counter shows the memory of all that run."""
    start = min((span.begin for span in spans), default=0.0)
    found: list[dict[str, Any]] = []
    changes = []
    for span, lane in zip(spans, lanes(spans), strict=True):
        begin = round(1e6 * (span.begin - start))
        facts = {"CPU s": span.cpu_s, "peak MB": span.memory_mb}
        event = {"name": f"{span.rule} {span.job}".strip(), "cat": span.rule, "ph": "X", "pid": 1, "tid": lane}
        found.append(event | {"ts": begin, "dur": round(1e6 * span.seconds), "args": facts})
        changes += [(begin, span.memory_mb), (begin + round(1e6 * span.seconds), -span.memory_mb)]
    held = 0.0
    for time, change in sorted(changes):
        held += change
        found.append({"name": "memory", "ph": "C", "pid": 1, "ts": time, "args": {"peak MB": round(held, 3)}})
    return found


def write_trace(results: Path, output: Path) -> str:
    """Write the trace of a run; return what it comes to, a line.

    Args:
        results: The folder of results.
        output: The JSON file to write.

    Raises:
        ValueError: No job has run there.
    """
    spans = read_spans(results / "benchmarks")
    if not spans:
        raise ValueError(f"{results / 'benchmarks'} has no records: no job has run there yet")
    with replacing(output) as file:
        file.write(json.dumps({"traceEvents": events(spans), "displayTimeUnit": "ms"}).encode())
    wall = max(span.begin + span.seconds for span in spans) - spans[0].begin
    working, end = 0.0, spans[0].begin
    for span in spans:
        working += max(0.0, span.begin + span.seconds - max(end, span.begin))
        end = max(end, span.begin + span.seconds)
    at_once = sum(span.seconds for span in spans) / wall if wall else 0.0
    return (
        f"{output}: {len(spans)} jobs in {wall:.0f} s from the first to the last, {at_once:.1f} at once on average, "
        f"none during {wall - working:.0f} s; open it at chrome://tracing or https://ui.perfetto.dev"
    )
