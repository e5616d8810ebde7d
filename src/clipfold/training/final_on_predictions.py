"""Make an ensemble of models that were fitted on all data."""

import time
from typing import Any

import pandas as pd

from clipfold.storage.files import write_json
from clipfold.storage.replace import replacing
from clipfold.training.final import FinalTask, best_member, mean_weights
from clipfold.training.fold import read_fold, write_record


def fit(task: FinalTask) -> None:
    """Take the mean of the folds' weights, the member that was best over all folds, or the highest of their bounds.

    No video is left whose predictions could tell better ones.
    """
    started = time.monotonic()
    model, facts = _chosen(task)
    write_json(task.outputs["model"], model)
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame({"epoch": [1]}).to_csv(file, index=False)
    fold = read_fold(task.splits, task.fold)
    write_record(task, fold, "predictions", **model, **facts, seconds=time.monotonic() - started)


def _chosen(task: FinalTask) -> tuple[dict[str, Any], dict[str, Any]]:
    if task.settings["mix"] == "cascade":
        enough = max(record["enough"] for record in task.chosen)
        return {"enough": enough}, {"chosen": {"enough": enough}}
    weights = mean_weights(task.chosen)
    if task.settings["mix"] == "mean":
        return {"weights": weights}, {}
    best = best_member(task.chosen)
    return {"weights": {name: float(name == best) for name in weights}}, {"chosen": {"member": best}}
