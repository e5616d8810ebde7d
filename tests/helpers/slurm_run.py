"""A working directory whose jobs run on a SLURM cluster."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
LIGHT = {"architecture": "naive_cnn", "size": 16, "width": 2, "frames": 4, "epochs": 2}
CONFIG = {
    "manifest": "videos.csv",
    "shard_size": 16,
    "splits": {"folds": 2, "validation": 0.34},
    "augment": {"copies": 1},
    "decode": {"size": 32},
    "shortcuts": False,
    "models": ["logistic_regression", {"architecture": "svm", "memory_mb": 1200, "runtime": 7}, LIGHT],
}


@dataclass
class Run:
    """A working directory whose jobs run on the cluster."""

    directory: Path

    def start(self, *arguments: str, profile: str = "slurm", **changes: Any) -> subprocess.Popen[str]:
        """Start the workflow, its output in `driver.log`."""
        config = self.directory / "config.yaml"
        config.write_text(yaml.safe_dump(CONFIG | changes))
        given = {"slurm": ["--slurm-init-seconds-before-status-checks", "3"], "local": ["--cores", "2"]}[profile]
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(PROJECT / "Snakefile")]
        command += ["--profile", str(PROJECT / "profiles" / profile), "--directory", str(self.directory)]
        command += [*given, "--configfile", str(config)]
        environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it triples the time of each of the many starts
        with open(self.directory / "driver.log", "a") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True)

    def finish(self, *arguments: str, profile: str = "slurm", **changes: Any) -> str:
        """Run to the end; what it said."""
        before = len(self.said())
        code = self.start(*arguments, profile=profile, **changes).wait(timeout=900)
        said = self.said()[before:]
        assert code == 0, said[-6000:]
        return said

    def said(self) -> str:
        log = self.directory / "driver.log"
        return log.read_text() if log.exists() else ""

    def results(self) -> dict[str, bytes]:
        """Bytes of everything that a run must come to: weights, predictions, tables."""
        folder = self.directory / "results"
        kinds = ("models/*/*/predictions.parquet", "models/*/*/model.safetensors", "evaluation/*.parquet")
        return {str(p.relative_to(folder)): p.read_bytes() for kind in kinds for p in sorted(folder.glob(kind))}


def wait_for(what: Callable[[], Any], seconds: float = 300) -> Any:
    """Wait until it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain")
