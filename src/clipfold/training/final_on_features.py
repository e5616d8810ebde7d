"""Fit a scikit-learn model on the features of all videos, with the code of `on_features`."""

import time

import pandas as pd
from threadpoolctl import threadpool_limits

from clipfold.models.fitted import write_fitted
from clipfold.storage.replace import replacing
from clipfold.training.feature_table import read_features
from clipfold.training.final import FinalTask
from clipfold.training.fold import read_fold, write_record
from clipfold.training.on_features import fit_rows


def fit(task: FinalTask) -> None:
    """Fit one model on all videos, whose inner folds choose its settings anew; module and data as for `on_features`."""
    started = time.monotonic()
    fold = read_fold(task.splits, task.fold)
    columns = set(task.chosen[0]["features"])
    table = read_features(task.data, columns.__contains__)
    with threadpool_limits(task.threads):
        found = fit_rows(task, fold, table)
    write_fitted(task.outputs["model"], found.model)
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1} | found.losses]).to_csv(file, index=False)
    write_record(task, fold, "features", **table.facts, **found.facts, seconds=time.monotonic() - started)
