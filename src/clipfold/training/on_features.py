"""Fit a scikit-learn model on features: inner folds choose its settings, then it learns from train and val together."""

import importlib
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clipfold.evaluation.temperature import scale
from clipfold.features.registry import group_of
from clipfold.models.fitted import class_probabilities, each_training, write_fitted
from clipfold.storage.files import Array
from clipfold.storage.replace import replacing
from clipfold.training.feature_table import FeatureTable, read_features
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record
from clipfold.training.inner import Rows, choose, combinations, inner_folds
from clipfold.training.stacking import stack
from clipfold.training.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model and how it came about.

    Args:
        model: Classifier of class indices.
        out_of_fold: Its predictions for videos that it learned from, by inner fits that had not seen them, float64
            (videos, classes).
        seen: Ids of these videos.
        losses: `train_loss` of the model, and `val_loss` out of fold.
        facts: For the record of the fit.
    """

    model: Any
    out_of_fold: Array
    seen: list[str]
    losses: dict[str, float]
    facts: dict[str, Any]


def fit(task: Task) -> None:
    """Fit one model on one fold.

    Args:
        task: Its module's `build(settings, seed)` returns a scikit-learn classifier with `predict_proba`;
            `calibrate(model, slope, intercept)` calibrates one whose probabilities need it; `members(columns)` and
            `Stack` stack several. Its data are those of `read_features`, and its setting `features` names the groups of
            columns to learn from. Only `gradient_boosting` uses several threads.
    """
    started = time.monotonic()
    fold = read_fold(task.splits, task.fold)
    table = read_features(task.data, lambda column: group_of(column) in task.settings["features"])
    with threadpool_limits(task.threads):
        found = fit_rows(task, fold, table)
        others = [split for split in fold.predicted if split != "val"]
        rows, classes = {split: table.rows(fold.ids(split)) for split in others}, len(fold.classes)
        given = {split: class_probabilities(found.model, x, classes) for split, x in rows.items()}
        several = task.settings.get("seeds", 1) > 1
        trainings = {split: [*each_training(found.model, x, classes)] for split, x in rows.items() if several}
    own = pd.DataFrame(found.out_of_fold, index=found.seen)
    parts = {split: [name for name in fold.ids(split) if name in own.index] for split in ("train", "val")}
    given |= {split: own.loc[ids].to_numpy() for split, ids in parts.items() if ids}
    if several:  # an inner fit is the mean of its trainings
        trainings |= {split: [given[split]] * task.settings["seeds"] for split in parts if split in given}
    write_fitted(task.outputs["model"], found.model)
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1} | found.losses]).to_csv(file, index=False)
    write_predictions(task.outputs["predictions"], fold, given, trainings)
    write_record(task, fold, "features", **table.facts, **found.facts, seconds=time.monotonic() - started)
    logger.info("%d features, %d videos: %s", len(table.columns), len(fold.learnt), found.facts | found.losses)


def fit_rows(task: Task, fold: Fold, table: FeatureTable) -> Fitted:
    """Choose settings by inner folds of all that the fold may learn from, and fit on all of it."""
    learnt, module = fold.learnt, importlib.import_module(task.module)
    targets, groups = learnt.target.to_numpy(), learnt.group.to_numpy(str)
    folds = inner_folds(targets, groups, (learnt.split == "val").to_numpy())
    rows = Rows(table.rows(learnt.id.tolist()), targets, groups, len(fold.classes), folds)

    def build(settings: Any) -> Any:
        return module.build(settings, task.training_seed)

    if hasattr(module, "members"):
        parts = module.members(table.columns)
        stacked = stack(parts, build, task.settings, table, rows)
        model = module.Stack(stacked.members, [*parts.values()], stacked.weights.tolist()).fit(rows.x, targets)
        probabilities, facts = stacked.probabilities, stacked.facts
    else:
        chosen = choose(lambda settings: table.fitting(build(settings)), task.settings, rows)
        model = table.fitting(build(chosen.settings)).fit(rows.x, targets)
        probabilities, calibration = chosen.probabilities, chosen.calibration
        if hasattr(module, "calibrate"):
            module.calibrate(model, 1 / calibration.temperature, calibration.bias)
            probabilities = scale(probabilities, *calibration)
        values = {name: chosen.settings[name] for name in next(combinations(task.settings))}
        facts = {"chosen": values, "tried": chosen.tried} if values else {}
    loss = partial(log_loss, labels=range(len(fold.classes)))
    losses = {
        "train_loss": float(loss(targets, class_probabilities(model, rows.x, len(fold.classes)))),
        "val_loss": float(loss(targets[rows.held], probabilities)),
    }
    seen = learnt.id.iloc[rows.held].tolist()
    return Fitted(model, probabilities, seen, losses, {"inner_folds": len(folds)} | facts)
