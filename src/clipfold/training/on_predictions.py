"""An ensemble: a weighted mean of other models' probabilities, the weights fitted on the validation part alone."""

import logging
import time

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import softmax

from clipfold.storage.files import Array, read_table, replacing, write_json
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record
from clipfold.training.task import Task

logger = logging.getLogger(__name__)


def fit(task: Task) -> None:
    """Fit the weights on one fold.

    Args:
        task: its setting `members` names the other models; its data are `predictions`, their tables of the same fold,
            in that order. The model is written as JSON, weight by member. Nothing is drawn.
    """
    started = time.monotonic()
    parts = read_fold(task.splits, task.fold)
    tables = [read_table(path).to_pandas() for path in task.data["predictions"]]
    val, test = (np.stack([_probabilities(table, parts, split) for table in tables]) for split in ("val", "test"))
    weights = fit_weights(val, parts.targets("val"))
    by_member = dict(zip(task.settings["members"], map(float, weights), strict=True))
    write_json(task.outputs["model"], {"weights": by_member})
    loss = log_loss(weights, val, parts.targets("val"))
    with replacing(task.outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1, "val_loss": loss}]).to_csv(file, index=False)
    mixed = {split: np.tensordot(weights, values, 1) for split, values in (("val", val), ("test", test))}
    write_predictions(task.outputs["predictions"], parts, mixed)
    write_record(task.outputs["record"], parts, task.settings, weights=by_member, seconds=time.monotonic() - started)
    logger.info("weights %s: validation loss %.4f", {name: round(w, 3) for name, w in by_member.items()}, loss)


def fit_weights(probabilities: Array, targets: Array) -> Array:
    """The weights, at least 0 and 1 in all, with which the mean has the lowest log-loss.

    The loss is convex in the weights (linear opinion pool, Stone 1961), so that the start does not matter. An equal
    share of every member is mixed in as if the part had one more video per member: with few videos to choose by, the
    best one of many by chance would otherwise take all.

    Args:
        probabilities: float (members, videos, classes).
        targets: class indices, int64 (videos,).

    Returns:
        float64 (members,).
    """
    members, videos = probabilities.shape[:2]

    def loss(logits: Array) -> float:
        weights = softmax(logits)
        prior = -np.log(np.clip(weights, 1e-12, 1)).sum() / videos
        return log_loss(weights, probabilities, targets) + float(prior)

    found = softmax(minimize(loss, np.zeros(members), method="L-BFGS-B").x)
    return np.asarray(found, np.float64)


def log_loss(weights: Array, probabilities: Array, targets: Array) -> float:
    """Mean log-loss of the weighted mean; arguments as in `fit_weights`."""
    likelihood = np.tensordot(weights, probabilities, 1)[np.arange(len(targets)), targets]
    return float(-np.log(np.clip(likelihood, 1e-7, 1)).mean())


def _probabilities(table: pd.DataFrame, parts: Fold, split: str) -> Array:
    """A member's probabilities, float64 (videos, classes), in the order of `parts.ids(split)`."""
    rows = table[table.split == split].set_index("id").loc[parts.ids(split)]
    return rows[[f"p_{name}" for name in parts.classes]].to_numpy(np.float64)
