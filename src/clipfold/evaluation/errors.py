"""Which predictions to look at: the wrong ones that a model was surest of, and some right ones to compare with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def judged(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Add to predictions what they say: `predicted` (a class), its `probability`, that of the label (`own`), `wrong`.

    Args:
        table: `label` and `p_<class>`.
        classes: sorted names.
    """
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy(float)
    predicted = np.array(classes)[probabilities.argmax(axis=1)]
    own = probabilities[np.arange(len(table)), table.label.map({c: i for i, c in enumerate(classes)}).to_numpy(int)]
    return table.assign(
        predicted=predicted, probability=probabilities.max(axis=1), own=own, wrong=predicted != table.label.to_numpy()
    )


def confident_errors(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The wrong predictions that gave the label the least, from `judged`; of each video one."""
    return table[table.wrong].sort_values(["own", "id"]).drop_duplicates("id").head(count)


def some_hits(table: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Right predictions drawn at random, from `judged`; of each video one, of each class as many as can be."""
    hits = table[~table.wrong].sort_values("id").drop_duplicates("id").sample(frac=1, random_state=seed)
    return hits.assign(turn=hits.groupby("label").cumcount()).sort_values("turn", kind="stable").head(count)
