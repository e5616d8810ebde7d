"""Find the features that a model needs: permutation importance (Breiman 2001) on the test videos of each fold."""

from functools import partial
from typing import Any

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
        "feature": pa.string(),
        "value": pa.float64(),  # rise of the log-loss on test videos, mean over folds
        "sd": pa.float64(),  # over folds
    }
)
REPEATS = 10
MOST = 10_000
"""Most shuffled predictions of a fold: of more than a thousand columns, each is shuffled less often."""


def explain(task: ExplainTask) -> None:
    """Measure how much worse a model predicts when one feature is shuffled among the test videos.

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
        with threadpool_limits(task.threads):
            found = permutation_importance(
                read_fitted(model),
                table.loc[tested.id, columns] if facts.get("categories") else table.loc[tested.id, columns].to_numpy(),
                targets,
                scoring=score,
                n_repeats=repeats,
                random_state=task.seed,
            )
        folds.append(pd.Series(found.importances_mean, columns))
    every = pd.concat(folds, axis=1)
    summary = pd.DataFrame({"value": every.mean(axis=1), "sd": every.std(axis=1)}).sort_values("value", ascending=False)
    write_table(task.output, summary.rename_axis("feature").reset_index().to_dict("records"), SCHEMA)


def _score(model: Any, x: Array, targets: Array, classes: int) -> float:
    """Compute the negative log-loss."""
    return -float(log_loss(targets, class_probabilities(model, x, classes), labels=range(classes)))
