"""Which features a model needs: permutation importance (Breiman 2001) on the videos that each fold tested."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clipfold.models.fitted import read_fitted
from clipfold.storage.files import Array, PathLike, read_json, read_table, write_table

SCHEMA = pa.schema(
    {
        "feature": pa.string(),
        "value": pa.float64(),  # by how much the log-loss of test videos rises, mean over folds
        "sd": pa.float64(),  # over folds
    }
)
REPEATS = 10


def explain(
    settings: Mapping[str, Any],
    data: Mapping[str, Sequence[PathLike]],
    models: Sequence[PathLike],
    predictions: Sequence[PathLike],
    records: Sequence[PathLike],
    output: PathLike,
    seed: int,
    threads: int,
) -> None:
    """Measure how much worse a model predicts when one feature is shuffled among the videos of a test part.

    Args:
        settings: of the model.
        data: `features`: the tables of all shards.
        models: skops files of every fold.
        predictions: of every fold.
        records: `fit.json` of every fold.
        output: table of `SCHEMA`, the most important feature first.
        seed: of the shuffling.
        threads: of the CPU.
    """
    table = read_table(data["features"]).to_pandas().set_index("id")
    folds = []
    for model, predicted, record in zip(models, predictions, records, strict=True):
        facts, rows = read_json(record), read_table(predicted, ["id", "label", "split"]).to_pandas()
        tested = rows[rows.split == "test"]
        targets = tested.label.map({name: i for i, name in enumerate(facts["classes"])}).to_numpy(int)
        fitted = read_fitted(model)
        x = table.loc[tested.id, facts["features"]].to_numpy()
        with threadpool_limits(threads):
            found = permutation_importance(fitted, x, targets, scoring=_score, n_repeats=REPEATS, random_state=seed)
        folds.append(pd.Series(found.importances_mean, facts["features"]))
    every = pd.concat(folds, axis=1)
    summary = pd.DataFrame({"value": every.mean(axis=1), "sd": every.std(axis=1)}).sort_values("value", ascending=False)
    write_table(output, summary.rename_axis("feature").reset_index().to_dict("records"), SCHEMA)


def _score(model: Any, x: Array, targets: Array) -> float:
    """Negative log-loss; classes that the training part lacks get probability 0, as in predictions."""
    probabilities = np.zeros((len(x), max(targets.max(), *model.classes_) + 1))
    probabilities[:, model.classes_] = model.predict_proba(x)
    return -float(log_loss(targets, probabilities, labels=range(probabilities.shape[1])))
