"""Start a fit in this process, or in one process per GPU."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch

from clipfold.storage.replace import replacing
from clipfold.training.signals import SIGNALS, listening
from clipfold.training.task import Task

logger = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask", bound=Task)


def start(task: AnyTask, module: str, fit_here: Callable[[AnyTask], None]) -> None:
    """Fit in this process, or in one per GPU if the task has several; arguments as for `launch`."""
    here = torch.cuda.device_count()  # takes no memory of a GPU, as more questions would: this process only waits
    processes = min(task.gpus, here)
    if 1 < task.gpus > here:
        logger.warning("gpus is %d, but this job sees %d: training on %d", task.gpus, here, processes)
    if processes > 1:
        launch(task, module, processes)
    else:
        fit_here(task)


def launch(task: Task, module: str, processes: int) -> None:
    """Fit in several processes started by `torchrun`, one per GPU.

    Args:
        task: The fit.
        module: Module that each process runs, with the path of the task as JSON.
        processes: Number of processes.

    Raises:
        SystemExit: A process failed, or a signal asked to stop.
    """
    task_file = Path(task.scratch) / "task.json"  # thousands of paths are too long for a command line
    with replacing(task_file) as file:
        file.write(json.dumps(asdict(task), default=str).encode())
    signals = f"--signals-to-handle={','.join(number.name for number in SIGNALS)}"
    command = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", signals]
    with listening() as stop:
        running = subprocess.Popen(
            [sys.executable, "-m", *command, "-m", module, task_file],
            env=os.environ | {"PYTHONSAFEPATH": "1"},  # imports nothing from the working directory
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        stop.pass_on = running.terminate  # torchrun gives its processes 30 s to save and exit
        assert running.stderr is not None
        for line in running.stderr:
            relay(line.rstrip())
        code = running.wait()
    if stop.signal is not None:
        raise SystemExit(128 + stop.signal)
    if code:
        raise SystemExit(code)


def relay(line: str) -> None:
    """Log what a process of several wrote, so that it is in the rule's log, too."""
    level, found, message = line.partition(":")
    number = logging.getLevelNamesMapping().get(level) if found else None
    logger.log(number or logging.INFO, "%s", message if number else line)


def log_to_starter() -> None:
    """Write messages as `relay` reads them; of processes other than the first, only warnings."""
    first = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.INFO if first else logging.WARNING, format="%(levelname)s:%(message)s")
