"""An ensemble: the weighted mean of other models, the best of them, or a cheap one and, where it is unsure, another."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clipfold.evaluation.temperature import fit_calibration
from clipfold.models.mixing import combine, sure
from clipfold.storage.files import Array, read_table, write_json
from clipfold.storage.replace import replacing
from clipfold.storage.trainings import trainings_in
from clipfold.training.cascade import sure_enough
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record
from clipfold.training.inner import calibrated_loss
from clipfold.training.task import Task
from clipfold.training.weights import fit_weights, log_loss

logger = logging.getLogger(__name__)


def fit(task: Task) -> None:
    """Fit on one fold the weights, or the bound of a cascade; or choose one member. Nothing is random.

    Both use the videos that every member predicted without having seen them: those of the validation split, and those
    of the train split if all members have out-of-fold predictions of inner folds.

    Args:
        task: Its setting `members` names the other models; its data are `predictions`, their tables of the same fold
            in that order. The model is written as JSON, see `clipfold.models.mixing.combine`.
    """
    started = time.monotonic()
    fold = read_fold(task.splits, task.fold)
    tables = [read_table(path).to_pandas() for path in task.data["predictions"]]
    unseen = [s for s in ("train", "val") if all((table.split == s).any() for table in tables)]
    tested = [split for split in fold.predicted if split != "val"]
    given = {split: np.stack([_probabilities(table, fold, split) for table in tables]) for split in (*unseen, *tested)}
    own = np.concatenate([given[split] for split in unseen], axis=1)
    rows = pd.concat([fold.table[fold.table.split == split] for split in unseen])
    model, facts = _chosen(task.settings, own, rows)
    write_json(task.outputs["model"], model)
    loss = log_loss(np.ones(1), combine(model, own)[None], rows.target.to_numpy())
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1, "val_loss": loss}]).to_csv(file, index=False)
    mixed = {split: combine(model, each) for split, each in given.items()}
    trainings = {split: [combine(model, once) for once in _each_training(tables, fold, split)] for split in given}
    write_predictions(task.outputs["predictions"], fold, mixed, trainings)
    write_record(task, fold, "predictions", **model, **facts, seconds=time.monotonic() - started)
    logger.info("%s: validation loss %.4f", model, loss)


def _chosen(settings: Mapping[str, Any], own: Array, rows: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose how to combine the members; returns the model as it is stored, and facts for the record.

    Args:
        settings: `members`, `mix` and `loss`.
        own: What each member says of unseen videos, float64 (members, videos, classes).
        rows: These videos.
    """
    targets, members = rows.target.to_numpy(), settings["members"]
    if settings["mix"] == "cascade":
        enough = sure_enough(own[0], own[1], targets, settings["loss"])
        return {"enough": enough}, {"chosen": {"enough": enough}, "exits": float(sure(own[0], enough).mean())}
    if settings["mix"] == "mean":
        return {"weights": dict(zip(members, map(float, fit_weights(own, targets)), strict=True))}, {}
    losses = [_calibrated(each, targets, rows.group.nunique()) for each in own]
    best = members[int(np.argmin(losses))]
    tried = [{"member": name, "loss": loss} for name, loss in zip(members, losses, strict=True)]
    return {"weights": {name: float(name == best) for name in members}}, {"chosen": {"member": best}, "tried": tried}


def _calibrated(probabilities: Array, targets: Array, groups: int) -> float:
    """Compute a member's log-loss after calibration: one that is badly scaled may know more."""
    return calibrated_loss(targets, probabilities, fit_calibration(targets, probabilities, groups))


def _each_training(tables: Sequence[pd.DataFrame], fold: Fold, split: str) -> list[Array]:
    """Read what the members say in each of several trainings, float64 (members, videos, classes).

    Members trained once say the same in all. Empty if all were trained once.
    """
    number = max(trainings_in(table.columns, fold.classes) for table in tables)
    each = [[f"p{k}" if f"p{k}_{fold.classes[0]}" in table else "p" for table in tables] for k in range(number)]
    return [
        np.stack([_probabilities(table, fold, split, p) for table, p in zip(tables, once, strict=True)])
        for once in each
    ]


def _probabilities(table: pd.DataFrame, fold: Fold, split: str, prefix: str = "p") -> Array:
    """Read a member's probabilities, float64 (videos, classes), in the order of `fold.ids(split)`."""
    rows = table[table.split == split].set_index("id").loc[fold.ids(split)]
    return rows[[f"{prefix}_{name}" for name in fold.classes]].to_numpy(np.float64)
