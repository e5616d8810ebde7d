"""An ensemble: a weighted mean of other models' probabilities, the weights fitted on the validation part alone."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import softmax

from clipfold.store import Array, PathLike, read_table, replacing, write_json
from clipfold.training.fold import Fold, read_fold, write_predictions, write_record

logger = logging.getLogger(__name__)


def fit(
    module: str,
    settings: Mapping[str, Any],
    data: Mapping[str, Sequence[PathLike]],
    splits: PathLike,
    fold: int,
    outputs: Mapping[str, PathLike],
    seed: int,
    threads: int,
) -> None:
    """Fit the weights on one fold.

    Args:
        module: not used: there is no network.
        settings: `members`, the names of the other models.
        data: `predictions`: the members' tables of the same fold, in the order of `members`.
        splits: table of the folds.
        fold: which of them.
        outputs: `model` (JSON: weight by member), `history`, `predictions`, `record`.
        seed: not used: nothing is drawn.
        threads: not used.
    """
    started = time.monotonic()
    parts = read_fold(splits, fold)
    tables = [read_table(path).to_pandas() for path in data["predictions"]]
    val, test = (np.stack([_probabilities(table, parts, role) for table in tables]) for role in ("val", "test"))
    weights = fit_weights(val, parts.targets("val"))
    by_member = dict(zip(settings["members"], map(float, weights), strict=True))
    write_json(outputs["model"], {"weights": by_member})
    loss = log_loss(weights, val, parts.targets("val"))
    with replacing(outputs["history"]) as file:
        pd.DataFrame([{"epoch": 1, "val_loss": loss}]).to_csv(file, index=False)
    mixed = {role: np.tensordot(weights, values, 1) for role, values in (("val", val), ("test", test))}
    write_predictions(outputs["predictions"], parts, mixed)
    write_record(outputs["record"], parts, settings, weights=by_member, seconds=time.monotonic() - started)
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


def _probabilities(table: pd.DataFrame, parts: Fold, role: str) -> Array:
    """A member's probabilities, float64 (videos, classes), in the order of `parts.ids(role)`."""
    rows = table[table.role == role].set_index("id").loc[parts.ids(role)]
    return rows[[f"p_{name}" for name in parts.classes]].to_numpy(np.float64)
