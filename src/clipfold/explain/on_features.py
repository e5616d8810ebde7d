"""Find the features that a model needs: permutation importance (Breiman 2001) on the test videos of each fold.

Beside it stand two controls: the same where the labels are shuffled too, which shows the importance that chance gives;
and the rise where all features are shuffled at once, of which the single ones account for a part.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.inspection import permutation_importance
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
Score = Callable[[Any], Mapping[str, float]]
"""Scores predictions from features in several ways; higher is better."""
REPEATS = 10
MOST = 1_000
"""Most shuffled predictions of a fold: of more than a hundred columns, each is shuffled less often."""


def explain(task: ExplainTask) -> None:
    """Measure how much worse a model predicts when one feature, or a group of them, is shuffled among the test videos.

    Args:
        task: The model; its output is a table of `SCHEMA`, the most important feature first.
    """
    table = read_tables(task.data)[0]
    folds, together = [], []
    for model, predicted, record in zip(task.models, task.predictions, task.records, strict=True):
        facts, rows = read_record(record), read_table(predicted, ["id", "label", "split"]).to_pandas()
        classes, columns = facts["classes"], facts["features"]
        single = [i for i, name in enumerate(columns) if not name.startswith("embedding.")]
        repeats = max(1, min(REPEATS, MOST // max(1, len(single))))
        tested = rows[rows.split == "test"]
        targets = tested.label.map({name: i for i, name in enumerate(classes)}).to_numpy(int)
        fitted, random = read_fitted(model), np.random.default_rng(task.seed)
        x = table.loc[tested.id, columns] if facts.get("categories") else table.loc[tested.id, columns].to_numpy()
        both = {"value": targets, "control": random.permutation(targets)}
        with threadpool_limits(task.threads):
            score = partial(_score, fitted, targets=both, classes=len(classes))
            found = _importances(fitted, score, x, columns, repeats=repeats, seed=task.seed, single=single)
            probabilities = class_probabilities(fitted, x, len(classes))
        folds.append(found.assign(control=found.control.abs()))
        together.append(_rise(targets, probabilities, random))
    values, controls = (pd.concat([fold[name] for fold in folds], axis=1) for name in ("value", "control"))
    summary = pd.DataFrame({"value": values.mean(axis=1), "sd": values.std(axis=1), "control": controls.mean(axis=1)})
    summary = summary.assign(together=np.mean(together)).sort_values("value", ascending=False)
    write_table(task.output, summary.rename_axis("feature").reset_index().to_dict("records"), SCHEMA)


def _importances(
    model: Any, score: Score, x: Any, columns: Sequence[str], *, repeats: int, seed: int, single: Sequence[int]
) -> pd.DataFrame:
    """Measure how much worse predictions are without each feature, and without all of each group.

    A single number of an embedding means nothing: those are shuffled by group only; `single` are the other columns.

    Returns:
        A row per feature or group, a column for each score.
    """
    grouped = _by_group(score, x, columns, seed)
    if not single:
        return grouped
    every = len(single) == len(columns)
    part, measure = (x, score) if every else (x[:, single], partial(_score_within, score, x, single))
    found = permutation_importance(
        model, part, None, scoring=lambda _, given, __: measure(given), n_repeats=repeats, random_state=seed
    )
    alone = {name: own.importances_mean for name, own in found.items()}
    return pd.concat([pd.DataFrame(alone, index=[columns[i] for i in single]), grouped])


def _by_group(score: Score, x: Any, columns: Sequence[str], seed: int) -> pd.DataFrame:
    """Measure how much worse predictions are when all features of a group are shuffled alike.

    Empty for a single group whose features are shuffled one by one.
    """
    random, groups = np.random.default_rng(seed), np.array([group_of(name) for name in columns])
    before, found, names = pd.Series(score(x)), {}, np.unique(groups)
    for name in names if len(names) > 1 or names[0].startswith("embedding.") else ():
        shuffled = [np.where(groups == name, x[random.permutation(len(x))], x) for _ in range(REPEATS)]
        found[f"{name}.*"] = before - pd.DataFrame([score(each) for each in shuffled]).mean()
    return pd.DataFrame(found, index=before.index).T


def _rise(targets: Array, probabilities: Array, random: np.random.Generator) -> float:
    """Compute the mean rise of the log-loss where each video gets the prediction for another one."""
    shuffled = [losses(targets, random.permutation(probabilities))[0].mean() for _ in range(REPEATS)]
    return float(np.mean(shuffled) - losses(targets, probabilities)[0].mean())


def _score_within(score: Score, x: Array, single: Sequence[int], part: Array) -> Mapping[str, float]:
    """Score predictions with some columns of `x` replaced."""
    replaced = x.copy()
    replaced[:, single] = part
    return score(replaced)


def _score(model: Any, x: Any, targets: Mapping[str, Array], classes: int) -> dict[str, float]:
    """Compute the negative log-loss of the same predictions for each of `targets`."""
    probabilities = class_probabilities(model, x, classes)
    return {name: -float(losses(own, probabilities)[0].mean()) for name, own in targets.items()}
