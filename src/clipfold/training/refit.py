"""Train a network twice on a fold: to choose the epoch, then for as many epochs on train and validation together.

The second training starts anew, from the same random start, and follows the schedule of the first epoch by epoch: it
makes more steps in each, and ends at the rate at which the first was best. It alone predicts the test videos. Threshold
and calibration come from what the first said of the validation videos, which it had not seen: nothing honest is known
of the second but its test.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from clipfold.storage.files import read_json, read_table, write_json, write_table
from clipfold.storage.replace import replacing, write_whole
from clipfold.training.parts import finish, part_of, remove
from clipfold.training.task import Task

_OF_EACH = ("best_epoch", "seconds", "rollbacks", "out_of_memory", "micro_batch")


def train_twice(task: Task, module: str, train: Callable[[Task], None]) -> None:
    """Train both times, and write what they are together.

    Args:
        task: The fit. Its files then hold the model of the second training; the epochs of both, those of the second
            with `refit` true; predictions of val by the first and of the others by the second; and what each took, in
            `phases` of the record.
        module: Module of `train`: finished trainings of other code are ignored.
        train: Trains once.
    """
    first = part_of(task, "choosing")
    finish(first, module, train, "training to choose the epoch")
    second = part_of(task, "refit", chosen_by=first.outputs)
    finish(second, module, train, "training again, on train and validation")
    write_whole(task.outputs["model"], Path(second.outputs["model"]).read_bytes())
    both = [first.outputs, second.outputs]
    histories = [pd.read_csv(own["history"]).assign(refit=own is second.outputs) for own in both]
    with replacing(task.outputs["history"]) as file:
        pd.concat(histories).to_csv(file, index=False)
    write_table(task.outputs["predictions"], pa.concat_tables([read_table(own["predictions"]) for own in both]))
    write_json(task.outputs["record"], _together(*(read_json(own["record"]) for own in both)))
    remove(task, (first, second))


def _together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Make one record of both: that of the second, which is used, with the videos of the fold."""
    phases = {
        name: {"videos": own["train_videos"], **{key: own[key] for key in _OF_EACH if key in own}}
        for name, own in (("choosing", first), ("refit", second))
    }
    phases["refit"]["epochs"] = second["epochs"]
    return {
        **{name: value for name, value in second.items() if name != "epochs"},
        **{name: first[name] for name in ("best_epoch", "train_videos", "val_videos")},
        "peak_mb": max(first["peak_mb"], second["peak_mb"]),
        "seconds": first["seconds"] + second["seconds"],
        "phases": phases,
    }
