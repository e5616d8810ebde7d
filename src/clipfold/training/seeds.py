"""Train a network several times on the same fold, each time from another random start: the model is their mean."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors.torch import load_file, save

from clipfold.storage.files import PathLike, read_json, read_table, write_json, write_table
from clipfold.storage.replace import replacing
from clipfold.training.final import median_epoch
from clipfold.training.parts import finish, part_of, remove
from clipfold.training.task import Task

AnyTask = TypeVar("AnyTask", bound=Task)


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
    parts = [part_of(task, f"training-{number}", number=number) for number in range(count)]
    for part in parts:
        finish(part, module, fit_once, f"training {part.number + 1} of {count}")
    _write_together(task, [part.outputs for part in parts])
    remove(task, parts)


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
    own = ("best_epoch", "seconds", "rollbacks", "out_of_memory", "micro_batch", "phases")
    together = records[0] | {"seconds": sum(record["seconds"] for record in records)}
    together["peak_mb"] = max(record["peak_mb"] for record in records)
    if "best_epoch" in together:
        together["best_epoch"] = median_epoch(records)
    together.pop("phases", None)
    if "views_at_test" in together:
        effects = [record["views_at_test"] for record in records]
        together["views_at_test"] = {name: np.mean([e[name] for e in effects], axis=0).tolist() for name in effects[0]}
    trainings = [{name: record[name] for name in own if name in record} for record in records]
    return together | {"trainings": trainings}
