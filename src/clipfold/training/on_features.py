"""Fit a scikit-learn model on handcrafted features."""

import importlib
import logging
import time

import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clipfold.models.fitted import class_probabilities, each_training, write_fitted
from clipfold.storage.replace import replacing
from clipfold.training.feature_table import read_features
from clipfold.training.fold import read_fold, write_predictions, write_record
from clipfold.training.task import Task

logger = logging.getLogger(__name__)


def fit(task: Task) -> None:
    """Fit one model on one fold.

    Args:
        task: Its module's `build(settings, seed)` returns a scikit-learn classifier with `predict_proba`;
            `fit(model, x, targets, groups)` fits it, where the module has one that uses groups. Its data are
            `features`, tables, and its setting `features` names the groups of columns to learn from. Only
            `gradient_boosting` uses several threads.
    """
    started = time.monotonic()
    fold = read_fold(task.splits, task.fold)
    classes = len(fold.classes)
    table = read_features(task.data["features"], lambda column: column.split(".")[0] in task.settings["features"])
    x = {split: table.rows(fold.ids(split)) for split in ("train", *fold.predicted)}
    module = importlib.import_module(task.module)
    model = table.fitting(module.build(task.settings, task.training_seed))
    with threadpool_limits(task.threads):
        if hasattr(module, "fit"):
            module.fit(model, x["train"], fold.targets("train"), fold.groups("train"))
        else:
            model.fit(x["train"], fold.targets("train"))
    probabilities = {split: class_probabilities(model, x[split], classes) for split in x}
    several = task.settings.get("seeds", 1) > 1
    trainings = {split: [*each_training(model, x[split], classes)] for split in x if several}
    losses = {s: log_loss(fold.targets(s), probabilities[s], labels=range(classes)) for s in ("train", "val")}
    write_fitted(task.outputs["model"], model)
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1} | {f"{split}_loss": v for split, v in losses.items()}]).to_csv(file, index=False)
    predicted = {split: probabilities[split] for split in fold.predicted}
    write_predictions(task.outputs["predictions"], fold, predicted, trainings)
    write_record(task, fold, "features", **table.facts, seconds=time.monotonic() - started)
    logger.info(
        "%d features, %d videos: %s", len(table.columns), len(x["train"]), {k: round(v, 3) for k, v in losses.items()}
    )
