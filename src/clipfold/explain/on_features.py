"""Find the features that a model needs: permutation importance (Breiman 2001) on the test videos of each fold.

Beside it stand two controls: the same where the labels are shuffled too, which shows the importance that chance gives;
and the rise where all features are shuffled at once, of which the single ones account for a part.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

from clipfold.evaluation.metrics import losses
from clipfold.explain.task import ExplainTask
from clipfold.features.embedding import read_tables
from clipfold.features.registry import group_of
from clipfold.models.fitted import class_probabilities, read_fitted
from clipfold.models.record import read_record
from clipfold.storage.files import Array, read_table, write_table

SCHEMA = pa.schema(
    {
        "feature": pa.string(),  # or `GROUP.*`: all of a group together, where a model has several
        "value": pa.float64(),  # rise of the log-loss on test videos, mean over folds
        "sd": pa.float64(),  # over folds
        "control": pa.float64(),  # the same with shuffled labels, mean over folds of the absolute value
        "together": pa.float64(),  # rise where all features are shuffled at once; the same in each row
    }
)
Score = Callable[[Iterator[Any]], Iterator[Array]]
"""Scores the predictions from each of several versions of the features by all of `SCORES`; higher is better."""
SCORES = ["value", "control"]
REPEATS = 10
MOST = 1_000
"""Most shuffled predictions of a fold: of more than a hundred columns, each is shuffled less often."""
MOST_VIDEOS = 1_000
"""Most test videos of a fold to predict so often; more are drawn from."""
_AT_ONCE = 1 << 25  # bytes of features to predict at once, since most of the time of a small prediction is overhead


def explain(task: ExplainTask) -> None:
    """Measure how much worse a model predicts when one feature, or a group of them, is shuffled among the test videos.

    Args:
        task: The model; its output is a table of `SCHEMA`, the most important feature first.
    """
    records = [read_record(path) for path in task.records]
    table = read_tables(task.data, {name for facts in records for name in facts["features"]}.__contains__)[0]
    folds, together = [], []
    for model, predicted, facts in zip(task.models, task.predictions, records, strict=True):
        rows = read_table(predicted, ["id", "label", "split"]).to_pandas()
        classes, columns = facts["classes"], facts["features"]
        single = [i for i, name in enumerate(columns) if not name.startswith("embedding.")]
        repeats = max(1, min(REPEATS, MOST // max(1, len(single))))
        tested = rows[rows.split == "test"]
        if len(tested) > MOST_VIDEOS:
            tested = tested.sample(MOST_VIDEOS, random_state=task.seed)
        targets = tested.label.map({name: i for i, name in enumerate(classes)}).to_numpy(int)
        fitted, random = read_fitted(model), np.random.default_rng(task.seed)
        x = table.loc[tested.id, columns] if facts.get("categories") else table.loc[tested.id, columns].to_numpy()
        both = (targets, random.permutation(targets))
        with threadpool_limits(task.threads):
            score = partial(_score, fitted, both, len(classes))
            found = _importances(score, x, columns, repeats=repeats, seed=task.seed, single=single)
            probabilities = class_probabilities(fitted, x, len(classes))
        folds.append(found.assign(control=found.control.abs()))
        together.append(_rise(targets, probabilities, random))
    values, controls = (pd.concat([fold[name] for fold in folds], axis=1) for name in ("value", "control"))
    summary = pd.DataFrame({"value": values.mean(axis=1), "sd": values.std(axis=1), "control": controls.mean(axis=1)})
    summary = summary.assign(together=np.mean(together)).sort_values("value", ascending=False)
    write_table(task.output, summary.rename_axis("feature").reset_index().to_dict("records"), SCHEMA)


def _importances(
    score: Score, x: Any, columns: Sequence[str], *, repeats: int, seed: int, single: Sequence[int]
) -> pd.DataFrame:
    """Measure how much worse predictions are without each feature, and without all of each group.

    A single number of an embedding means nothing: those are shuffled by group only; `single` are the other columns.

    Returns:
        A row per feature or group, a column for each of the scores.
    """
    groups, random = np.array([group_of(name) for name in columns]), np.random.default_rng(seed)
    alone = _orders(len(x), repeats, seed)
    shuffles = {columns[i]: [(np.array([i]), order) for order in alone] for i in single}
    names = np.unique(groups)
    for name in names if len(names) > 1 or names[0].startswith("embedding.") else ():
        own = np.flatnonzero(groups == name)
        shuffles[f"{name}.*"] = [(own, random.permutation(len(x))) for _ in range(REPEATS)]
    (before,) = score(iter([x]))
    found = score(_shuffled(x, own, order) for each in shuffles.values() for own, order in each)
    rises = {name: before - np.mean([next(found) for _ in each], axis=0) for name, each in shuffles.items()}
    return pd.DataFrame(rises, index=SCORES).T


def _orders(rows: int, repeats: int, seed: int) -> list[Array]:
    """Draw the orders of `sklearn.inspection.permutation_importance`: each shuffles the one before.

    Its own loop predicts each order by itself, which for a stack of models takes many times as long.
    """
    random = np.random.RandomState(np.random.RandomState(seed).randint(2**31))
    step, order, orders = np.arange(rows), np.arange(rows), []
    for _ in range(repeats):
        random.shuffle(step)
        order = order[step]
        orders.append(order)
    return orders


def _shuffled(x: Any, columns: Array, order: Array) -> Any:
    """Copy `x` with some columns in another order of the rows."""
    copied = x.copy()
    if isinstance(x, pd.DataFrame):
        for name in x.columns[columns]:
            copied[name] = x[name].take(order).set_axis(x.index)
    else:
        copied[:, columns] = x[order][:, columns]
    return copied


def _rise(targets: Array, probabilities: Array, random: np.random.Generator) -> float:
    """Compute the mean rise of the log-loss where each video gets the prediction for another one."""
    shuffled = [losses(targets, random.permutation(probabilities))[0].mean() for _ in range(REPEATS)]
    return float(np.mean(shuffled) - losses(targets, probabilities)[0].mean())


def _score(model: Any, targets: Sequence[Array], classes: int, versions: Iterator[Any]) -> Iterator[Array]:
    """Compute the negative log-loss of the predictions from each version of the features, for each of `targets`."""
    for first in versions:
        bytes_each = first.memory_usage().sum() if isinstance(first, pd.DataFrame) else first.nbytes
        some = [first, *islice(versions, int(_AT_ONCE // max(1, bytes_each)))]
        together = pd.concat(some) if isinstance(first, pd.DataFrame) else np.concatenate(some)
        for probabilities in np.split(class_probabilities(model, together, classes), len(some)):
            yield np.array([-losses(own, probabilities)[0].mean() for own in targets])
