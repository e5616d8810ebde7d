"""Measure what only a GPU can show, in one run of eight minutes that nobody has to watch.

    PYTHONPATH=src python benchmarks/gpu.py --json gpu.json

Each part runs in a process of its own, with a limit; each figure is written as soon as it is there, and a table comes
last. `--dry` runs every part in little on a CPU, to see that nothing is amiss before a GPU is at hand.

- environment: the machine, and what CUDA makes of names of devices.
- steps: six networks. "bare" is forward, backward and update on floats that lie on the device; "graph" is the same as
  one CUDA graph, which the host cannot hinder; "engine" are the trainer's steps. `busy` is the time of kernels over
  that of a step; `waits` counts how often the host waits for the device.
- depthwise: the convolutions of X3D by memory layout and type, and their time over that of reading and writing memory.
- compile: compiled steps, and gradients under CUDA graphs.
- memory: steps with half of their memory, and with hardly any.
- kills: fits that are killed and resumed, against two that were left alone.
- sharing: several processes on one GPU.
- embedding: encoders by batch, and explanations.
- tests: `make test-gpu`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_fits
import gpu_layers
import gpu_steps

Part = tuple[Callable[[str, bool, gpu_steps.Note], None], str, float]  # work, its argument, seconds at most
PARTS: dict[str, Part] = {
    "environment": (gpu_fits.environment, "", 30),
    **{f"steps {name}": (gpu_steps.steps, name, 40) for name in gpu_steps.NETWORKS},
    "depthwise": (gpu_layers.depthwise, "", 30),
    "compile": (gpu_steps.compiled, "", 60),
    "memory": (gpu_fits.memory, "", 40),
    "kills": (gpu_fits.kills, "", 60),
    "sharing": (gpu_fits.sharing, "", 50),
    "embedding": (gpu_fits.embedding, "", 30),
    "tests": (gpu_fits.tests, "", 130),
}
DRY = [name for name in PARTS if not name.startswith("steps") or "naive" in name]


def run_part(name: str, dry: bool, lines: Path) -> None:
    """Run a part in this process; append each result to a file as a line of JSON."""
    work, argument, _ = PARTS[name]

    def note(label: str, facts: dict[str, Any]) -> None:
        print(f"{name}: {label}: {json.dumps(facts)}", flush=True)
        with lines.open("a") as file:
            file.write(json.dumps([name, label, facts]) + "\n")

    try:
        work(argument, dry, note)
    except Exception as error:
        note("ended", {"error": f"{type(error).__name__}: {str(error)[:300]}"})
        if dry:
            raise


def run_apart(name: str, limit: float, lines: Path) -> str:
    """Run a part in a process of its own, with all that it starts, for `limit` seconds at most; say how it ended."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--part", name, "--lines", str(lines)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        ended = f"exit {process.wait(limit)}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ended = "time was up"
    return f"{ended} after {time.monotonic() - began:.0f} s"


def collected(lines: Path) -> dict[str, dict[str, Any]]:
    """Read what was noted so far: part -> label -> facts."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines.read_text().splitlines() if lines.exists() else ():
        name, label, facts = json.loads(line)
        found.setdefault(name, {})[label] = facts
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="where to write the result")
    parser.add_argument("--minutes", type=float, default=8, help="for all parts; what comes too late is left out")
    parser.add_argument("--only", nargs="+", default=[*PARTS], help="which parts, by the beginnings of their names")
    parser.add_argument("--dry", action="store_true", help="every part in little, in one process, on a CPU, too")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--lines", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        run_part(args.part, False, args.lines)
        return
    lines = args.json.with_suffix(".jsonl")
    lines.unlink(missing_ok=True)
    end = time.monotonic() + 60 * args.minutes
    chosen = [name for name in (DRY if args.dry else PARTS) if name.startswith(tuple(args.only))]
    ended = {}
    for name in chosen:
        if args.dry:
            run_part(name, True, lines)
            ended[name] = "dry"
        elif (left := min(PARTS[name][2], end - time.monotonic())) < 5:
            ended[name] = "left out: no time"
        else:
            ended[name] = run_apart(name, left, lines)
        args.json.write_text(json.dumps({"ended": ended, "found": collected(lines)}, indent=1) + "\n")
    print(f"\n{'part':32} {'what':44} figures")
    for name, part in collected(lines).items():
        for label, facts in part.items():
            print(f"{name:32} {label:44} {', '.join(f'{key} {value}' for key, value in facts.items())}")
    print(json.dumps(ended, indent=1))


if __name__ == "__main__":
    main()
