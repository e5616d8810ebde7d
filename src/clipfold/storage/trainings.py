"""Read what a fit with several trainings wrote: `p<k>_<class>` beside `p_<class>`, and columns of the history."""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def trainings_in(columns: Container[str], classes: Sequence[str]) -> int:
    """Return the number of trainings whose predictions a table has beside their mean; 0 if there was only one.

    >>> trainings_in(["id", "p_a", "p_b", "p0_a", "p0_b", "p1_a", "p1_b"], ["a", "b"])
    2
    """
    return next(k for k in count() if f"p{k}_{classes[0]}" not in columns)


def by_training(history: pd.DataFrame) -> list[pd.DataFrame]:
    """Separate the trainings of a fold in its `history.csv`, without those of `refit`, which chose no epoch."""
    if "refit" in history:
        history = history[~history.refit].drop(columns="refit")
    if "training" not in history:
        return [history]
    return [own.reset_index(drop=True) for _, own in history.groupby("training")]
