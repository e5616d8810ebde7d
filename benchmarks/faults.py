"""Disturb runs at random: whatever happens, running again must give the tables of an undisturbed run.

    python benchmarks/faults.py --runs 100 --seed 0 --json faults.json

Each run begins with a finished run, part of which is deleted at random. It is disturbed before or while it works, then
started until it ends well. The faults: a job or the whole run killed or asked to end (SIGKILL, SIGTERM, SIGINT,
SIGUSR1), results deleted, results truncated with or without a new time of modification, and a full disk (the results
are on a small tmpfs, which needs root). All bytes of predictions, models and evaluation tables are compared.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from clipfold.demo.write import make_demo

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = {
    "manifest": "videos.csv",
    "shard_size": 8,
    "decode": {"size": 32},
    "splits": {"folds": 2, "validation": 0.34},
    "augment": {"copies": 1},
    "shortcuts": False,
    "models": [
        "logistic_regression",
        {"architecture": "naive_cnn", "size": 16, "width": 2, "frames": 4, "epochs": 3, "checkpoint_minutes": 0.001},
    ],
}
COMPARED = ("models/*/*/predictions.parquet", "models/*/*/model.safetensors", "evaluation/*.parquet")
STAGES = ("metadata", "frames", "augmented", "resized", "features", "splits", "models", "evaluation", "report")
MOST_STARTS = 6


class Campaign:
    """A folder with disturbed runs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.results = folder / "results"
        make_demo(folder, sources=4)
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        self.results.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(self.results)]
        self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        started = time.monotonic()
        self.complete()
        self.lasts = time.monotonic() - started
        self.expected = self.bytes()
        shutil.copytree(self.results, folder / "finished/results")
        shutil.copytree(folder / ".snakemake", folder / "finished/.snakemake")

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.results)], check=True)

    def bytes(self) -> dict[str, bytes]:
        return {str(p): p.read_bytes() for kind in COMPARED for p in sorted(self.results.glob(kind))}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(PROJECT / "Snakefile")]
        command += ["--profile", str(PROJECT / "profiles/local"), "--cores", "2", "--directory", str(self.folder)]
        command += ["--configfile", str(self.folder / "config.yaml")]
        with open(self.folder / "log.txt", "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def complete(self) -> int:
        """Start until the run ends well; return the number of starts."""
        for starts in range(1, MOST_STARTS + 1):
            if any((self.folder / ".snakemake/locks").glob("*")):
                self.start("--unlock").wait()
            if self.start().wait() == 0:
                return starts
        raise SystemExit(f"not complete after {MOST_STARTS} starts: {(self.folder / 'log.txt').read_text()[-5000:]}")

    def restore(self) -> None:
        """Restore the finished run and delete its results from some stage on."""
        for path in self.results.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.folder / ".snakemake")
        shutil.copytree(self.folder / "finished/.snakemake", self.folder / ".snakemake")
        shutil.copytree(self.folder / "finished/results", self.results, dirs_exist_ok=True)
        for stage in STAGES[self.random.randrange(len(STAGES)) :]:
            shutil.rmtree(self.results / stage)

    # --- Faults. Each returns what it did, or nothing if it found no target.

    def deleted(self) -> str:
        files = [path for path in sorted(self.results.rglob("*")) if path.is_file()]
        for path in self.random.sample(files, min(len(files), self.random.randint(1, 5))):
            path.unlink()
        return "deleted"

    def truncated(self) -> str:
        kinds = (".parquet", ".npy", ".safetensors", ".json", ".skops")
        files = [p for p in sorted(self.results.rglob("*")) if p.suffix in kinds and p.name != "resources.json"]
        for path in self.random.sample(files, min(len(files), self.random.randint(1, 3))):
            times = path.stat()
            os.truncate(path, self.random.randrange(max(1, times.st_size)))
            if self.random.random() < 0.5:
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return "truncated files"

    def full_disk(self) -> str:
        if not self.mounted:
            return ""
        driver = self.start()
        time.sleep(self.random.uniform(0, self.lasts))
        filler = self.results / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
            if self.random.random() < 0.5:  # some files still fit, others do not
                os.truncate(filler, max(0, filler.stat().st_size - self.random.randrange(200_000)))
        driver.wait()
        filler.unlink()
        return "full disk"

    def run_hit(self) -> str:
        number = self.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        driver = self.start()
        time.sleep(self.random.uniform(0.5, self.lasts))
        driver.send_signal(number)
        driver.wait()
        return f"run {number.name}"

    def job_hit(self) -> str:
        number = self.random.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
        driver, hit = self.start(), 0
        wanted, deadline = self.random.randint(1, 3), time.monotonic() + 2 * self.lasts
        while hit < wanted and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(self.random.uniform(0.2, 2))
            try:
                below = psutil.Process(driver.pid).children(recursive=True)
                jobs = [p for p in below if any(".snakemake/scripts" in part for part in p.cmdline())]
                if jobs:
                    self.random.choice(jobs).send_signal(number)
                    hit += 1
            except psutil.NoSuchProcess:
                continue
        driver.wait()
        return f"{hit} jobs {number.name}" if hit else ""

    def disturb(self) -> tuple[list[str], int]:
        """Disturb one run; return what happened and the number of starts until it ended well."""
        self.restore()
        happened = []
        quiet: list[Callable[[], str]] = [self.deleted, self.truncated]
        loud: list[Callable[[], str]] = [self.full_disk, self.run_hit, self.job_hit]
        if self.random.random() < 0.5:
            happened.append(self.random.choice(quiet)())
        happened.append(self.random.choice([*quiet, *loud, *loud])())
        return [what for what in happened if what], self.complete()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what happens (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    campaign = Campaign(folder, args.seed)
    result: dict[str, Any] = {"runs": 0, "same": 0, "seed": args.seed, "full_disk": campaign.mounted}
    faults: Counter[str] = Counter()
    try:
        for number in range(args.runs):
            began = time.monotonic()
            happened, starts = campaign.disturb()
            found = campaign.bytes()
            wanted = campaign.expected
            differ = sorted(name for name in found | wanted if found.get(name) != wanted.get(name))
            faults.update(happened)
            result |= {"runs": number + 1, "same": result["same"] + (not differ), "faults": dict(faults.most_common())}
            line = f"{number}: {', '.join(happened)}; {starts} starts, {time.monotonic() - began:.0f} s"
            print(line, "SAME" if not differ else f"DIFFERENT: {differ}", flush=True)
            if args.json:
                args.json.write_text(json.dumps(result, indent=2) + "\n")
    finally:
        campaign.close()
    print(json.dumps(result, indent=2))
    if result["same"] < args.runs:
        raise SystemExit(f"see {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
