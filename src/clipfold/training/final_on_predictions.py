"""Make an ensemble of models that were fitted on all data."""

import time

import pandas as pd

from clipfold.storage.files import write_json
from clipfold.storage.replace import replacing
from clipfold.training.final import FinalTask, mean_weights
from clipfold.training.fold import read_fold, write_record


def fit(task: FinalTask) -> None:
    """Take the mean of the folds' weights: no video is left whose predictions could tell better ones."""
    started = time.monotonic()
    weights = mean_weights(task.chosen)
    write_json(task.outputs["model"], {"weights": weights})
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame({"epoch": [1]}).to_csv(file, index=False)
    fold = read_fold(task.splits, task.fold)
    write_record(task, fold, "predictions", weights=weights, seconds=time.monotonic() - started)
