"""Fit a scikit-learn model on the handcrafted features of all videos."""

import importlib
import time

import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clipfold.models.fitted import class_probabilities, write_fitted
from clipfold.storage.replace import replacing
from clipfold.training.feature_table import read_features
from clipfold.training.final import FinalTask
from clipfold.training.fold import read_fold, write_record


def fit(task: FinalTask) -> None:
    """Fit one model on all videos; its folds chose nothing. Module and data as for `on_features.fit`."""
    started = time.monotonic()
    fold = read_fold(task.splits, task.fold)
    columns = set(task.chosen[0]["features"])
    table = read_features(task.data["features"], columns.__contains__)
    x, targets = table.rows(fold.ids("train")), fold.targets("train")
    module = importlib.import_module(task.module)
    model = table.fitting(module.build(task.settings, task.training_seed))
    with threadpool_limits(task.threads):
        if hasattr(module, "fit"):
            module.fit(model, x, targets, fold.groups("train"))
        else:
            model.fit(x, targets)
    classes = len(fold.classes)
    loss = log_loss(targets, class_probabilities(model, x, classes), labels=range(classes))
    write_fitted(task.outputs["model"], model)
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1, "train_loss": loss}]).to_csv(file, index=False)
    write_record(task, fold, "features", **table.facts, seconds=time.monotonic() - started)
