"""Turn Snakemake's log records into few short lines, or into progress bars on a terminal."""

import os
import re
import shutil
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from logging import INFO, Handler, LogRecord
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_clipfold.failures import MOST, Job, describe, read_cause, wrap
from snakemake_logger_plugin_clipfold.progress import Progress, duration

if TYPE_CHECKING:
    from snakemake_logger_plugin_clipfold.bars import Bars

WIDTH = 190
"""Characters of the longest line."""

LONG = 60
"""Seconds after which a running job gets a line."""

NOISE = (
    "Building DAG of jobs",
    "Assuming unrestricted shared",
    "Config file",
    "Exiting because a job",
    "At least one job did not complete",
)
"""First words of Snakemake's messages that are omitted."""

FOLLOWS = "input files updated by another job"
"""Snakemake's reason for a job that only follows from another; omitted if the job also has a reason of its own."""

PLACE = re.compile(r"^WorkflowError.*:\n|\n  File .*")
"""The place in the rules that Snakemake adds to an error, omitted because the message is meant for users."""

COMMAND = re.compile(r"^.*?Command '.*?' (?=returned|died)", re.S)


MISTAKES = {
    "FileNotFoundError": "is that the name of your --configfile? It is looked up in the folder you are in. Names of "
    "results to make come before --configfile",
    "ValueError": "--config sets keys at the top level, such as --config seed=1; write nested ones, such as "
    "splits: {folds: 3}, in a file for --configfile",
}
"""Remedies for mistakes on the command line that Snakemake answers with a traceback: exception -> remedy."""

NO_CACHE = "error: {}: Snakemake keeps its cache there: set XDG_CACHE_HOME to a folder that can be written"


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the command line."""

    full: bool = field(
        default=False,
        metadata={"help": "Print what Snakemake itself prints: inputs, outputs, reasons and resources of each job."},
    )


def snakemake_handler(common: Any, stream: TextIO) -> Handler:
    """Make the handler that Snakemake uses without this plugin."""
    from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

    formatter = DefaultFormatter(common.quiet, common.show_failed_logs)
    chosen = DefaultFilter(common.quiet, common.debug_dag, common.verbose, common.dryrun, common.printshellcmds)
    handler: Handler = ColorizingTextHandler(common.nocolor, stream, formatter, chosen)
    return handler


class LogHandler(LogHandlerBase):
    """A log handler that prints a run in short. Snakemake's full log of it is in `.snakemake/log`."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        common = self.common_settings
        self.stream = sys.stdout if common.stdout else sys.stderr
        self.full: Handler | None = None
        wanted = getattr(self.settings, "full", False)
        if wanted or common.verbose or common.debug_dag or common.printshellcmds:
            self.full = snakemake_handler(common, self.stream)
        self.dryrun = common.dryrun
        self.quiet = any(what.name in ("ALL", "PROGRESS", "RULES") for what in common.quiet or ())
        drawable = self.stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self.terminal = drawable and find_spec("rich") is not None
        self.progress = Progress({}, time.time())
        self.started = False
        self.jobs: dict[int, Job] = {}
        self.failed: dict[int, list[str]] = {}
        self.reasons: dict[str, Counter[str]] = {}
        self.errors: list[str] = []  # may turn out to belong to a job
        self.bars: Bars | None = None
        self.closed = threading.Event()

    def emit(self, record: LogRecord) -> None:
        """Print a record if a reader needs it; count what happens to jobs."""
        try:
            if self.full:
                self.full.handle(record)
            elif event := getattr(record, "event", None):
                getattr(self, f"on_{event}", lambda record: None)(record)
            else:
                self.on_message(record)
        except Exception:
            self.handleError(record)

    def on_message(self, record: LogRecord) -> None:
        """Print warnings and messages of the rules; omit Snakemake's own remarks while jobs run."""
        text = record.getMessage()
        ours = PurePath(record.pathname).suffix == ".smk" or text.startswith("Nothing to be done")
        remark = record.levelno < INFO or (record.levelno == INFO and not ours and (self.started or self.quiet))
        if not remark and not text.startswith(NOISE):
            self.say(text)

    def on_workflow_started(self, record: Any) -> None:
        """Omit Snakemake's remarks from now on."""
        self.started = True

    def on_run_info(self, record: Any) -> None:
        """Start counting jobs; in a dry run, print the table of jobs."""
        jobs = {rule: count for rule, count in record.stats.items() if rule not in ("all", "total")}
        if not self.dryrun:
            self.progress = Progress(jobs, time.time())
            if not (self.terminal or self.quiet):
                threading.Thread(target=self.announce, daemon=True).start()
        elif not self.progress.total:  # a dry run reports it twice
            self.progress = Progress(jobs, time.time())
            self.say(record.getMessage(), most=len(jobs) + 10)

    def on_job_info(self, record: Any) -> None:
        """Note the start of a job, or why a dry run would run it."""
        if record.rule_name not in self.progress.rules or (self.dryrun and self.quiet):
            return
        if self.dryrun:
            kinds = {part.partition(":")[0].strip().lower() for part in record.reason.split(";")}
            self.reasons.setdefault(record.rule_name, Counter()).update(kinds - {""})
            return
        self.jobs[record.jobid] = Job(record.rule_name, record.wildcards, time.time())
        self.progress.start(record.rule_name, record.jobid, time.time())
        if self.bars is None and self.terminal and not self.quiet:
            from snakemake_logger_plugin_clipfold.bars import Bars

            self.bars = Bars(self.stream, not self.common_settings.nocolor, self.progress)

    def on_job_finished(self, record: Any) -> None:
        """Count a job as done."""
        if record.job_id not in self.jobs:  # such as `all`, which only names the targets
            return
        self.failed.pop(record.job_id, None)
        self.stopped(record.job_id, finished=True)
        if self.progress.done == self.progress.total:
            self.stop_bars()
            self.say(f"{self.progress.total} jobs finished in {duration(time.time() - self.progress.began)}")

    def on_error(self, record: Any) -> None:
        """Keep an exception until it is known whether a job caused it: the job's log then has the details."""
        message = record.getMessage()
        if record.exception == "WorkflowError":
            message = PLACE.sub("", message)
        elif "SourceCache" in message and "makedirs" in message:
            message = NO_CACHE.format(_last_line(message))
        elif "Traceback" in message and not self.started and record.exception in MISTAKES:
            message = f"error: {_last_line(message)}: {MISTAKES[record.exception]}"
        self.errors.append(message)

    def on_job_error(self, record: Any) -> None:
        """Find the cause of a failure while its log is there; print it at the end, unless another attempt succeeds."""
        job = self.jobs.get(record.jobid, Job(record.rule_name, {}, 0.0))
        told = [record.rule_msg or "", *(COMMAND.sub("The process ", error) for error in self.errors)]
        cause = read_cause(record.log, job.started) or "\n".join(filter(None, told))
        self.errors.clear()
        if cause != "interrupted" and "SIGINT" not in cause:  # by the user, who needs no explanation
            self.failed[record.jobid] = describe(job, cause, record.log)
        if record.jobid in self.jobs:
            self.stopped(record.jobid, finished=False)

    def stopped(self, jobid: int, finished: bool) -> None:
        """Count a job as no longer running; without bars, print a line."""
        job, now = self.jobs[jobid], time.time()
        took = self.progress.stop(job.rule, jobid, now, finished)
        if not (self.bars or self.quiet):
            left = self.progress.left(now)
            rest = f", about {duration(left)} left" if finished and left else ""
            self.say(f"{self.count()} {job} {'took' if finished else 'failed after'} {duration(took)}{rest}")

    def announce(self) -> None:
        """Print each long-running job once."""
        announced: set[int] = set()
        while not self.closed.wait(5):
            self.acquire()  # the lock under which records are printed
            try:
                for rule in self.progress.rules.values():
                    for jobid, start in rule.running.items():
                        if jobid not in announced and time.time() - start > LONG:
                            announced.add(jobid)
                            self.say(f"{self.count()} {self.jobs[jobid]} is running")
            finally:
                self.release()

    def count(self) -> str:
        """Format the number of finished jobs, such as `[ 7/24]`."""
        total = str(self.progress.total)
        return f"[{self.progress.done:{len(total)}}/{total}]"

    def say(self, text: str, most: int = 2 * MOST) -> None:
        """Print a text, wrapped, in at most `most` lines."""
        width = shutil.get_terminal_size().columns if self.terminal else WIDTH
        lines = wrap(text, min(width, WIDTH))
        if len(lines) > most:  # such as an error that lists all files
            lines = [*lines[: most // 2], "...", *lines[-most // 2 :]]
        with suppress(OSError):  # the reader has closed the pipe: the run continues
            for line in lines:
                if self.bars:
                    self.bars.print(line)
                else:
                    print(line, file=self.stream, flush=True)

    def stop_bars(self) -> None:
        """Remove the bars; print lines from now on."""
        if self.bars:
            self.bars.stop()
            self.bars = None

    def close(self) -> None:
        """Print the end of a run: the causes of failures, or the reasons for jobs in a dry run."""
        if not self.closed.is_set():
            self.closed.set()
            self.stop_bars()
            self.print_end()
        super().close()

    def print_end(self) -> None:
        """Print reasons, remaining errors and failed jobs."""
        for rule, kinds in self.reasons.items():
            total = self.progress.rules[rule].total
            own = {kind: count for kind, count in kinds.items() if kind != FOLLOWS} or kinds
            self.say(f"{rule}: {', '.join(k if n == total else f'{k} ({n} of {total})' for k, n in own.items())}")
        unfinished = not self.dryrun and self.progress.done < self.progress.total
        for error in self.errors:
            if not (unfinished and error.startswith(NOISE)):
                self.say(error)
        if unfinished:
            for lines in [*self.failed.values()][:MOST]:
                self.say("\n".join(lines))
            more = len(self.failed) - MOST
            if more > 0:
                self.say(f"... and {more} more failed jobs")
            ended = f"{len(self.failed)} failed" if self.failed else "interrupted"
            self.say(f"{self.progress.done} of {self.progress.total} jobs finished, {ended}: run again to continue")


def _last_line(traceback: str) -> str:
    """Return what an exception says, without its name and number."""
    return re.sub(r"^\[Errno \d+\] ", "", traceback.strip().splitlines()[-1].partition(": ")[2]).rstrip(".")
