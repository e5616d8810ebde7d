"""Find the features that a model needs: permutation importance (Breiman 2001) on the test videos of each fold."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clipfold.explain.task import ExplainTask
from clipfold.models.fitted import class_probabilities, read_fitted
from clipfold.models.record import read_record
from clipfold.storage.files import Array, read_table, write_table

SCHEMA = pa.schema(
    {
        "feature": pa.string(),  # or `GROUP.*`: all of a group together, where a model has several
        "value": pa.float64(),  # rise of the log-loss on test videos, mean over folds
        "sd": pa.float64(),  # over folds
    }
)
REPEATS = 10
MOST = 10_000
"""Most shuffled predictions of a fold: of more than a thousand columns, each is shuffled less often."""


def explain(task: ExplainTask) -> None:
    """Measure how much worse a model predicts when one feature, or a group of them, is shuffled among the test videos.

    Args:
        task: The model; its output is a table of `SCHEMA`, the most important feature first.
    """
    table = read_table(task.data["features"]).to_pandas().set_index("id")
    folds = []
    for model, predicted, record in zip(task.models, task.predictions, task.records, strict=True):
        facts, rows = read_record(record), read_table(predicted, ["id", "label", "split"]).to_pandas()
        classes, columns = facts["classes"], facts["features"]
        repeats = max(1, min(REPEATS, MOST // len(columns)))
        tested = rows[rows.split == "test"]
        targets = tested.label.map({name: i for i, name in enumerate(classes)}).to_numpy(int)
        score = partial(_score, classes=len(classes))
        x, fitted = table.loc[tested.id, columns], read_fitted(model)
        x = x if facts.get("categories") else x.to_numpy()
        with threadpool_limits(task.threads):
            found = permutation_importance(fitted, x, targets, scoring=score, n_repeats=repeats, random_state=task.seed)
            together = _together(partial(score, fitted, targets=targets), x, columns, task.seed)
        folds.append(pd.Series(dict(zip(columns, found.importances_mean, strict=True)) | together))
    every = pd.concat(folds, axis=1)
    summary = pd.DataFrame({"value": every.mean(axis=1), "sd": every.std(axis=1)}).sort_values("value", ascending=False)
    write_table(task.output, summary.rename_axis("feature").reset_index().to_dict("records"), SCHEMA)


def _together(score: Callable[[Array], float], x: Any, columns: Sequence[str], seed: int) -> dict[str, float]:
    """Measure how much worse predictions are when all features of a group are shuffled alike; empty for one group."""
    random, groups = np.random.default_rng(seed), np.array([name.split(".")[0] for name in columns])
    before, losses = score(x), {}
    for name in np.unique(groups) if len(np.unique(groups)) > 1 else ():
        shuffled = [np.where(groups == name, x[random.permutation(len(x))], x) for _ in range(REPEATS)]
        losses[f"{name}.*"] = before - float(np.mean([score(each) for each in shuffled]))
    return losses


def _score(model: Any, x: Array, targets: Array, classes: int) -> float:
    """Compute the negative log-loss."""
    return -float(log_loss(targets, class_probabilities(model, x, classes), labels=range(classes)))
