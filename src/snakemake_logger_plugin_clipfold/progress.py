"""Count the jobs of a run and estimate the time left."""

from collections.abc import Mapping
from dataclasses import dataclass, field


def duration(seconds: float) -> str:
    """Write a duration in the largest unit that fits.

    >>> duration(0.42), duration(8), duration(200), duration(7500)
    ('0.4 s', '8 s', '3:20 min', '2:05 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 2 else f"{whole} s"
    return f"{whole // 60}:{whole % 60:02} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02} h"


@dataclass
class RuleProgress:
    """The jobs of one rule.

    Attributes:
        total: Jobs to run.
        done: Finished jobs.
        seconds: Total time of the finished jobs.
        running: Start of each running job by its id, in seconds.
    """

    total: int
    done: int = 0
    seconds: float = 0.0
    running: dict[int, float] = field(default_factory=dict)

    def work_left(self, mean: float, now: float) -> float:
        """Estimate the seconds of work left if each job takes `mean` seconds."""
        started = sum(max(mean - (now - start), 0.0) for start in self.running.values())
        return started + mean * max(self.total - self.done - len(self.running), 0)


class Progress:
    """The jobs of a run.

    Args:
        jobs: Jobs to run of each rule, in the order of the bars.
        now: Start of the run, in seconds.
    """

    def __init__(self, jobs: Mapping[str, int], now: float) -> None:
        self.rules = {rule: RuleProgress(total) for rule, total in jobs.items()}
        self.began = now

    @property
    def total(self) -> int:
        """Jobs to run."""
        return sum(rule.total for rule in self.rules.values())

    @property
    def done(self) -> int:
        """Jobs that finished."""
        return sum(rule.done for rule in self.rules.values())

    def start(self, rule: str, job: int, now: float) -> None:
        """Count a job as running."""
        self.rules.setdefault(rule, RuleProgress(1)).running[job] = now

    def stop(self, rule: str, job: int, now: float, finished: bool) -> float:
        """Count a job as finished, or as one that has to run again; return the seconds that it took."""
        counts = self.rules[rule]
        took = now - counts.running.pop(job, now)
        if finished:
            counts.done += 1
            counts.seconds += took
        return took

    def left(self, now: float, rule: str | None = None) -> float | None:
        """Estimate the seconds left of a rule, or of the run, from the jobs that finished; None before the first.

        A rule of which no job has finished counts with the mean of all others. Jobs are taken to run side by side as
        they have so far.
        """
        if self.done == 0:
            return None
        mean = sum(r.seconds for r in self.rules.values()) / self.done
        work = {n: r.work_left(r.seconds / r.done if r.done else mean, now) for n, r in self.rules.items()}
        if rule is not None:
            return work[rule] / max(len(self.rules[rule].running), 1)
        busy = sum(r.seconds + sum(now - start for start in r.running.values()) for r in self.rules.values())
        return sum(work.values()) / max(busy / max(now - self.began, 1e-9), 1.0)
