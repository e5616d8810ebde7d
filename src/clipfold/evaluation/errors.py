"""Select predictions to inspect: the most confident errors, and random correct ones for comparison."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def add_outcome(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Add the outcome of each prediction.

    Args:
        table: Predictions, with `label` and `p_<class>`.
        classes: Sorted class names.

    Returns:
        The table with `predicted` (the most probable class), its `probability`, the probability of the label (`own`)
        and `wrong`.
    """
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy(float)
    predicted = np.array(classes)[probabilities.argmax(axis=1)]
    own = probabilities[np.arange(len(table)), table.label.map({c: i for i, c in enumerate(classes)}).to_numpy(int)]
    return table.assign(
        predicted=predicted, probability=probabilities.max(axis=1), own=own, wrong=predicted != table.label.to_numpy()
    )


def confident_errors(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Select the wrong predictions with the lowest probability of the label, one per video.

    Args:
        table: Result of `add_outcome`.
        count: Maximum number of rows.
    """
    return table[table.wrong].sort_values(["own", "id"]).drop_duplicates("id").head(count)


def some_hits(table: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Draw correct predictions at random, one per video, balanced over classes as far as possible.

    Args:
        table: Result of `add_outcome`.
        count: Maximum number of rows.
        seed: Seed for the random draws.
    """
    hits = table[~table.wrong].sort_values("id").drop_duplicates("id").sample(frac=1, random_state=seed)
    return hits.assign(turn=hits.groupby("label").cumcount()).sort_values("turn", kind="stable").head(count)
