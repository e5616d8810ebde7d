"""A copy of the project that tests may edit, with small data that trips tools up."""

import csv
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from clipfold.demo.write import DAMAGE, make_demo

PROJECT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "workflow", "envs", "config", "profiles", "src")
ODD_NAMES = ["a b.mp4", "c,d.mp4", 'e"f.mp4', "g#h.mp4", "i%20j.mp4", "käse.mp4", "{k}.mp4", "l'm.mp4", "<script>.mp4"]
CONFIG = {
    "manifest": "videos.csv",
    "shard_size": 12,
    "splits": {"folds": 2, "validation": 0.34},
    "augment": {"copies": 1},
    "shortcuts": False,
    "explain": {"errors": 1, "hits": 1},
    "models": ["svm", {"architecture": "naive_cnn", "name": "cnn", "size": 32, "width": 4, "epochs": 2, "threads": 1}],
}


@dataclass
class Workflow:
    """A working directory and the copy of the project that runs in it."""

    project: Path
    directory: Path

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(self.project / "Snakefile")),
            *("--profile", str(self.project / "profiles/local"), "--cores", "2"),
            *("--configfile", str(self.directory / "config.yaml"), "--directory", str(self.directory), *arguments),
        ]

    @property
    def opened(self) -> Path:
        """A line per time that a job opened a video: rule, file."""
        return self.directory.parent / "opened.txt"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.project / "src")}

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )
        assert not check or done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def planned(self, *targets: str) -> dict[str, int]:
        """How many jobs of each rule a run would make."""
        output = self.run("--dry-run", *targets)
        if "Nothing to be done" in output:
            return {}
        table = output.partition("Job stats:")[2].partition("total")[0]
        return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}

    def configure(self, **changes) -> None:
        (self.directory / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))

    def rows(self) -> list[list[str]]:
        with open(self.directory / "videos.csv", newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    def write_rows(self, rows: list[list[str]]) -> None:
        with open(self.directory / "videos.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)

    def results(self) -> dict[str, bytes]:
        """Bytes of everything that a run must come to, whatever happened on the way."""
        folder = self.directory / "results"
        tables = [*folder.glob("models/*/*/predictions.parquet"), *folder.glob("evaluation/*.parquet")]
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(tables)}


def make_data(directory: Path) -> None:
    """Videos of the demo, some with names that trip tools up, two of them broken, one that is not there."""
    make_demo(directory, sources=4)
    workflow = Workflow(directory, directory)
    header, *rows = workflow.rows()
    healthy = [row for row in rows if row[0] not in DAMAGE]
    for row, name in zip(healthy, ODD_NAMES, strict=False):
        (directory / row[0]).rename(directory / name)
        row[0] = name
    workflow.write_rows([header, *rows, ["gone.mp4", "real", "source-01"]])
    workflow.configure()
