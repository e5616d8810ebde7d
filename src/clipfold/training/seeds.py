"""Train a network several times on the same fold, each time from another random start: the model is their mean.

One training after the other, each a fit of its own in a folder of its own, so that a killed job resumes in the training
where it was. A finished training waits there for the others.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors.torch import load_file, save

from clipfold.models.record import versions
from clipfold.storage.files import PathLike, read_json, read_table, write_json, write_table
from clipfold.storage.fingerprint import fingerprint
from clipfold.storage.replace import replacing, write_whole
from clipfold.training.checkpoint import key_of
from clipfold.training.final import median_epoch
from clipfold.training.task import Task

logger = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask", bound=Task)
_FILES = {
    "model": "model.safetensors",
    "history": "history.csv",
    "predictions": "predictions.parquet",
    "record": "fit.json",
}


def repeat(task: AnyTask, module: str, fit_once: Callable[[AnyTask], None]) -> None:
    """Train as often as the setting `seeds` says, and write what the trainings are together.

    Args:
        task: The fit. Its files then hold all trainings: the weights of number k as `k.<name>`, its epochs in the rows
            of `training` k, its probabilities as `p<k>_<class>` beside their mean `p_<class>`, its record in
            `trainings`; k begins with 0.
        module: Module of `fit_once`: finished trainings of other code are ignored.
        fit_once: Trains once.
    """
    count = task.settings["seeds"]
    if count == 1:
        fit_once(task)
        return
    parts = [_part(task, number) for number in range(count)]
    for part in parts:
        done, key = Path(part.scratch, "finished"), _key(part, module).encode()
        if not (done.is_file() and done.read_bytes() == key):
            done.unlink(missing_ok=True)
            logger.info("training %d of %d", part.number + 1, count)
            fit_once(part)
            write_whole(done, key)
    _write_together(task, [part.outputs for part in parts])
    for part in parts:
        for name in (*part.outputs.values(), Path(part.scratch, "finished")):
            Path(name).unlink()
    for folder in (*(Path(part.scratch) for part in parts), Path(task.scratch)):
        if not any(folder.iterdir()):  # it may hold TensorBoard's files
            folder.rmdir()


def _part(task: AnyTask, number: int) -> AnyTask:
    folder = Path(task.scratch, f"training-{number}")
    outputs = {name: str(folder / _FILES[name]) for name in task.outputs}
    return replace(task, number=number, scratch=str(folder), outputs=outputs)


def _key(task: Task, module: str) -> str:
    """Hash all that a training depends on, as its checkpoint does."""
    facts = [task.module, task.settings, task.fold, task.training_seed, task.stored_size, task.views]
    lists = [*task.data.values(), getattr(task, "records", ()), getattr(task, "histories", ())]
    code = fingerprint(module, task.module), versions()
    return key_of([facts, code], [task.splits, *(path for paths in lists for path in paths)])


def _write_together(task: Task, parts: Sequence[Mapping[str, PathLike]]) -> None:
    tensors = [load_file(part["model"]) for part in parts]
    with replacing(task.outputs["model"]) as file:
        file.write(save({f"{k}.{name}": value for k, own in enumerate(tensors) for name, value in own.items()}))
    histories = [pd.read_csv(part["history"]) for part in parts]
    for number, history in enumerate(histories):
        history.insert(0, "training", number)
    with replacing(task.outputs["history"]) as file:
        pd.concat(histories).to_csv(file, index=False)
    if "predictions" in task.outputs:
        write_table(task.outputs["predictions"], together([read_table(part["predictions"]) for part in parts]))
    records = [read_json(part["record"]) for part in parts]
    write_json(task.outputs["record"], _record(records))


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """Average the predictions of several trainings, and put theirs beside: `p<k>_<class>` of training k.

    Args:
        tables: `id`, `label`, `split` and `p_<class>`; the same rows in each.
    """
    mean, names = tables[0], [name for name in tables[0].column_names if name.startswith("p_")]
    for name in names:
        each = np.stack([table[name].to_numpy() for table in tables])
        mean = mean.set_column(mean.column_names.index(name), name, pa.array(each.mean(axis=0)))
    for number, table in enumerate(tables):
        for name in names:
            mean = mean.append_column(f"p{number}_{name.removeprefix('p_')}", table[name])
    return mean


def _record(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Make one record of those of all trainings: what adds up, and what each has of its own."""
    own = ("best_epoch", "seconds", "rollbacks", "out_of_memory", "micro_batch")
    together = records[0] | {"seconds": sum(record["seconds"] for record in records)}
    together["peak_mb"] = max(record["peak_mb"] for record in records)
    if "best_epoch" in together:
        together["best_epoch"] = median_epoch(records)
    if "views_at_test" in together:
        effects = [record["views_at_test"] for record in records]
        together["views_at_test"] = {name: np.mean([e[name] for e in effects], axis=0).tolist() for name in effects[0]}
    trainings = [{name: record[name] for name in own if name in record} for record in records]
    return together | {"trainings": trainings}
