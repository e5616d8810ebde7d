"""Draw a progress bar per rule and one for the whole run on a terminal."""

import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_clipfold.progress import Progress, RuleProgress, duration


class Bars:
    """Bars that redraw themselves in place and vanish when stopped.

    Args:
        stream: Terminal to draw on.
        color: Use colours, unless `NO_COLOR` is set.
        progress: Jobs to show.
    """

    def __init__(self, stream: TextIO, color: bool, progress: Progress) -> None:
        self.console = Console(file=stream, no_color=None if color else True, highlight=False, soft_wrap=True)
        self.progress = progress
        self.live = Live(
            console=self.console, get_renderable=self.draw, refresh_per_second=4, transient=True, redirect_stdout=False
        )
        self.live.start()

    def draw(self) -> Group:
        """Lay out the bars; if the terminal is too low for all, running rules first, then those still to come."""
        progress, now = self.progress, time.time()
        room = max(self.console.height - 3, 1)
        order = sorted(progress.rules.items(), key=lambda item: (not item[1].running, item[1].done >= item[1].total))
        shown = {name for name, _ in order[:room]}
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=40)
        table.add_column(width=30)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        running = sum(len(rule.running) for rule in progress.rules.values())
        self.add(table, "all jobs", progress.done, progress.total, self.state(running, progress.left(now)))
        for name, rule in progress.rules.items():
            if name in shown:
                self.add(table, name, rule.done, rule.total, self.describe(rule, progress.left(now, name)))
        hidden = len(progress.rules) - len(shown)
        return Group(table, *([Text(f"and {hidden} more rules", style="dim")] if hidden else []))

    @staticmethod
    def add(table: Table, name: str, done: int, total: int, state: str) -> None:
        """Add a line with a bar."""
        table.add_row(name, ProgressBar(total=total, completed=done), f"{done}/{total}", state)

    @staticmethod
    def state(running: int, left: float | None) -> str:
        """Describe how many jobs run and how long the rest will take."""
        return (f"{running} running" if running else "waiting") + (f", about {duration(left)} left" if left else "")

    def describe(self, rule: RuleProgress, left: float | None) -> str:
        """Describe the progress of a rule."""
        if rule.done >= rule.total:
            return f"took {duration(rule.seconds)}"
        return self.state(len(rule.running), left if rule.done else None)

    def print(self, line: str) -> None:
        """Print a line above the bars."""
        self.console.print(line, markup=False)

    def stop(self) -> None:
        """Remove the bars."""
        self.live.stop()
