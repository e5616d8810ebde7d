"""Answers for the videos without a label, from the models of all folds. There is nothing to score them by."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clipfold.evaluation.temperature import biases, scale
from clipfold.storage.assigned import UNLABELLED
from clipfold.storage.files import PathLike, read_table


def answers(model: str, paths: Sequence[PathLike], choices: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Average what the fits of a model say of each video without a label.

    Args:
        model: Name of the model.
        paths: Prediction tables of the model, in fold order.
        choices: What each fold chose, see `pooling.Pooled`.
        classes: Class names.

    Returns:
        A row per video, sorted by id: `id`, `model`, `predicted` (the class with the highest mean), `p_<class>` (mean
        over folds of the calibrated probabilities), `spread` (standard deviation over folds of the probability of the
        predicted class) and `folds` (their number).
    """
    columns = [f"p_{name}" for name in classes]
    chosen = choices.set_index("fold")
    tables = []
    for path in paths:
        own = read_table(path, ["id", "split", *columns]).to_pandas()
        tables.append(own[own["split"] == UNLABELLED].set_index("id")[columns].sort_index())
    ids = tables[0].index
    each = np.stack(
        [
            scale(own.loc[ids].to_numpy(np.float64), chosen["temperature"][fold], biases(chosen.loc[[fold]], classes))
            for fold, own in enumerate(tables)
        ]
    )
    mean = each.mean(axis=0)
    best = mean.argmax(axis=1)
    spread = each[:, np.arange(len(ids)), best].std(axis=0)
    facts = pd.DataFrame({"id": ids.astype(str), "model": model, "predicted": np.array(classes, object)[best]})
    spreads = pd.DataFrame({"spread": spread, "folds": len(tables)}, index=facts.index)
    return pd.concat([facts, pd.DataFrame(mean, columns=columns), spreads], axis=1)
