"""An ensemble: a weighted mean of other models' probabilities, with weights fitted on validation videos alone."""

import logging
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import softmax

from clipfold.models.mixing import mix
from clipfold.storage.files import Array, read_table, write_json
from clipfold.storage.replace import replacing
from clipfold.storage.trainings import trainings_in
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record
from clipfold.training.task import Task

logger = logging.getLogger(__name__)


def fit(task: Task) -> None:
    """Fit the weights on one fold. Nothing is random.

    Args:
        task: Its setting `members` names the other models; its data are `predictions`, their tables of the same fold
            in that order. The model is written as JSON: member -> weight.
    """
    started = time.monotonic()
    fold = read_fold(task.splits, task.fold)
    tables = [read_table(path).to_pandas() for path in task.data["predictions"]]
    given = {split: np.stack([_probabilities(table, fold, split) for table in tables]) for split in fold.predicted}
    val = given["val"]
    weights = fit_weights(val, fold.targets("val"))
    by_member = dict(zip(task.settings["members"], map(float, weights), strict=True))
    write_json(task.outputs["model"], {"weights": by_member})
    loss = log_loss(weights, val, fold.targets("val"))
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1, "val_loss": loss}]).to_csv(file, index=False)
    mixed = {split: mix(weights, own) for split, own in given.items()}
    each = {split: [mix(weights, once) for once in _each_training(tables, fold, split)] for split in given}
    write_predictions(task.outputs["predictions"], fold, mixed, each)
    write_record(task, fold, "predictions", weights=by_member, seconds=time.monotonic() - started)
    logger.info("weights %s: validation loss %.4f", {name: round(w, 3) for name, w in by_member.items()}, loss)


def fit_weights(probabilities: Array, targets: Array) -> Array:
    """Find the weights whose mean has the lowest log-loss.

    The loss is convex in the weights (linear opinion pool, Stone 1961), so the starting point does not matter. Equal
    weights are mixed in as if there were one more validation video per member: with few videos, the member that is
    best by chance would otherwise get all the weight.

    Args:
        probabilities: float (members, videos, classes).
        targets: Class indices, int64 (videos,).

    Returns:
        float64 (members,), at least 0 and 1 in total.
    """
    members, videos = probabilities.shape[:2]

    def loss(logits: Array) -> float:
        weights = softmax(logits)
        prior = -np.log(np.clip(weights, 1e-12, 1)).sum() / videos
        return log_loss(weights, probabilities, targets) + float(prior)

    found = softmax(minimize(loss, np.zeros(members), method="L-BFGS-B").x)
    return np.asarray(found, np.float64)


def log_loss(weights: Array, probabilities: Array, targets: Array) -> float:
    """Compute the mean log-loss of the weighted mean; arguments as in `fit_weights`."""
    likelihood = mix(weights, probabilities)[np.arange(len(targets)), targets]
    return float(-np.log(np.clip(likelihood, 1e-7, 1)).mean())


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
