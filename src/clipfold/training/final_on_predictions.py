"""Make an ensemble of models that were fitted on all data."""

import time

import pandas as pd

from clipfold.storage.files import write_json
from clipfold.storage.replace import replacing
from clipfold.training.final import FinalTask, best_member, mean_weights
from clipfold.training.fold import read_fold, write_record


def fit(task: FinalTask) -> None:
    """Take the mean of the folds' weights, or the member that was best over all folds.

    No video is left whose predictions could tell better ones.
    """
    started = time.monotonic()
    weights, facts = mean_weights(task.chosen), {}
    if task.settings["mix"] == "best":
        best = best_member(task.chosen)
        weights, facts = {name: float(name == best) for name in weights}, {"chosen": {"member": best}}
    write_json(task.outputs["model"], {"weights": weights})
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame({"epoch": [1]}).to_csv(file, index=False)
    fold = read_fold(task.splits, task.fold)
    write_record(task, fold, "predictions", weights=weights, **facts, seconds=time.monotonic() - started)
