"""The trainings that a fit consists of, one after the other, each a fit of its own in a folder of its own.

A killed job resumes in the training where it was. A finished training waits in its folder for the others.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from clipfold.models.record import versions
from clipfold.storage.fingerprint import fingerprint
from clipfold.storage.hashing import key_of
from clipfold.storage.replace import write_whole
from clipfold.training.task import Task

logger = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask", bound=Task)
_FILES = {
    "model": "model.safetensors",
    "history": "history.csv",
    "predictions": "predictions.parquet",
    "record": "fit.json",
}


def part_of(task: AnyTask, name: str, **changes: Any) -> AnyTask:
    """Make the task of one training, which keeps everything in the folder `name` of the fit's scratch."""
    folder = Path(task.scratch, name)
    outputs = {kind: str(folder / _FILES[kind]) for kind in task.outputs}
    return replace(task, scratch=str(folder), outputs=outputs, **changes)


def finish(part: AnyTask, module: str, train: Callable[[AnyTask], None], name: str) -> None:
    """Train, unless this was finished before.

    Args:
        part: The training.
        module: Module of `train`: what other code has finished is ignored, and what it was with other settings or data.
        train: Trains once.
        name: What the training is, for the log.
    """
    done, key = _mark(part), _key(part, module).encode()
    if not (done.is_file() and done.read_bytes() == key):
        done.unlink(missing_ok=True)
        logger.info("%s", name)
        train(part)
        write_whole(done, key)


def remove(task: Task, parts: Sequence[Task]) -> None:
    """Remove the files of all trainings of a fit, and folders that are then empty: some hold TensorBoard's files."""
    for part in parts:
        for path in (_mark(part), *part.outputs.values()):  # a kill in between leaves no mark without its files
            Path(path).unlink()
    for folder in (*(Path(part.scratch) for part in parts), Path(task.scratch)):
        if not any(folder.iterdir()):
            folder.rmdir()


def _mark(part: Task) -> Path:
    return Path(part.scratch, "finished")


def _key(task: Task, module: str) -> str:
    """Hash all that a training depends on, as its checkpoint does."""
    facts = [task.module, task.settings, task.fold, task.training_seed, task.stored_size, task.views]
    lists = [
        *task.data.values(),
        getattr(task, "records", ()),
        getattr(task, "histories", ()),
        [*task.chosen_by.values()],
    ]
    code = fingerprint(module, task.module), versions()
    return key_of([facts, code], [task.splits, *(path for paths in lists for path in paths)])
