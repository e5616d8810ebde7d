"""Fitting a scikit-learn model on handcrafted features."""

import importlib
import logging
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clipfold.models.fitted import write_fitted
from clipfold.storage.files import Array, read_table, replacing
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record
from clipfold.training.task import Task

logger = logging.getLogger(__name__)


def fit(task: Task) -> None:
    """Fit one model on one fold.

    Args:
        task: its module's `build(settings, seed)` gives a scikit-learn classifier with `predict_proba`; its data are
            `features`, tables, and its setting `features` names the groups of their columns to learn from. Only
            `gradient_boosting` makes use of several threads.
    """
    started = time.monotonic()
    parts = read_fold(task.splits, task.fold)
    table = read_table(task.data["features"]).to_pandas().set_index("id")
    columns = [c for c in table.columns if c.split(".")[0] in task.settings["features"]]
    x = {split: table.loc[parts.ids(split), columns].to_numpy() for split in ("train", "val", "test")}
    model = importlib.import_module(task.module).build(task.settings, task.seed)
    with threadpool_limits(task.threads):
        model.fit(x["train"], parts.targets("train"))
    probabilities = {split: _full(model, x[split], parts) for split in ("val", "test")}
    losses = {
        r: log_loss(parts.targets(r), _full(model, x[r], parts), labels=range(len(parts.classes)))
        for r in ("train", "val")
    }
    write_fitted(task.outputs["model"], model)
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1} | {f"{r}_loss": v for r, v in losses.items()}]).to_csv(file, index=False)
    write_predictions(task.outputs["predictions"], parts, probabilities)
    write_record(task.outputs["record"], parts, task.settings, features=columns, seconds=time.monotonic() - started)
    logger.info(
        "%d features, %d videos: %s", len(columns), len(x["train"]), {k: round(v, 3) for k, v in losses.items()}
    )


def _full(model: Any, x: Array, fold: Fold) -> Array:
    """Probabilities in the order of all classes, 0 for those that the training part lacks."""
    full = np.zeros((len(x), len(fold.classes)))
    full[:, model.classes_] = model.predict_proba(x)
    return full
