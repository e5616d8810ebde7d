"""Name a job and find the cause of its failure in its log."""

import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST = 10
"""Most failed jobs to list, and most lines of a cause."""


@dataclass(frozen=True)
class Job:
    """A job that was started: its rule, its wildcards, and when, in seconds since 1970."""

    rule: str
    wildcards: Mapping[str, str]
    started: float

    def __str__(self) -> str:
        details = ", ".join(f"{name} {value}" for name, value in self.wildcards.items())
        return f"{self.rule} ({details})" if details else self.rule


def wrap(text: str, width: int) -> list[str]:
    """Break lines longer than a width between words; keep the indent of each."""
    lines = []
    for line in text.strip().splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, width, subsequent_indent=indent) or [""]
    return lines


def read_cause(logs: Iterable[str], since: float) -> str:
    """Return the last error message in the logs of a job, or "" if there is none.

    Args:
        logs: Log files.
        since: Start of the job, in seconds since 1970; older logs are of earlier runs.
    """
    for log in logs:
        try:
            if os.stat(log).st_mtime < since - 2:  # seconds that a file server's clock may lag behind
                continue
            text = Path(log).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        _, found, message = text.rpartition(" ERROR ")
        if found:
            return re.split(r"^(?:Traceback \(|\d{4}-\d\d-\d\d )", message, maxsplit=1, flags=re.M)[0].strip()
    return ""


def describe(job: Job, cause: str, logs: Sequence[str]) -> list[str]:
    """Describe a failed job in lines: stage, model, fold or shard; the cause; the log."""
    stage, _, model = job.rule.partition("_")
    details = {"model": model} if model and stage in ("train", "final", "explain") else {}
    lines = [f"FAILED  {Job(job.rule, {**details, **job.wildcards}, job.started)}"]
    causes = (cause or "no message: the process ended without one, as when memory runs out").strip().splitlines()
    if len(causes) > MOST:
        causes = [*causes[:MOST], f"... {len(causes) - MOST} more lines in the log"]
    return lines + [f"{' ' * 8}{line}" for line in [*causes, *(f"log: {os.path.abspath(log)}" for log in logs)]]
