"""Measure chance in training: how much metrics vary with random starts, where networks were trained several times.

A model is then the mean of its trainings; what its metrics claim holds for the mean of as many other trainings.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from clipfold.evaluation.pooling import Pooled
from clipfold.storage.trainings import trainings_in


def variances(
    tables: Sequence[pd.DataFrame],
    classes: Sequence[str],
    pool: Callable[[Sequence[pd.DataFrame]], Pooled],
    values: Callable[[Pooled], Mapping[tuple[str, ...], float]],
) -> dict[tuple[str, ...], float]:
    """Estimate the variance of metrics from chance in training by the jackknife (Efron & Tibshirani 1993, ch. 11).

    Each training of each fold is left out once: the mean of its fold is that of the others, and so are threshold and
    temperature. Folds vary independently, as each training has a seed of its own.

    Args:
        tables: Predictions of the model on each fold.
        classes: Class names.
        pool: Pools the predictions of all folds.
        values: Computes metrics.

    Returns:
        Metric -> variance, in addition to that from videos; empty if each fold was trained once.
    """
    found: dict[tuple[str, ...], float] = {}
    for fold, table in enumerate(tables):
        number = trainings_in(table.columns, classes)
        left_out = []
        for training in range(number):
            others = _without(table, classes, [k for k in range(number) if k != training])
            left_out.append(values(pool([*tables[:fold], others, *tables[fold + 1 :]])))
        for name in left_out[0] if left_out else ():
            each = [own[name] for own in left_out]
            found[name] = found.get(name, 0.0) + (number - 1) * float(np.var(each))
    return found


def _without(table: pd.DataFrame, classes: Sequence[str], kept: Sequence[int]) -> pd.DataFrame:
    mean = {f"p_{name}": table[[f"p{k}_{name}" for k in kept]].mean(axis=1) for name in classes}
    return table.assign(**mean)
