"""The table of the folds, which holds videos with a label, and others that are only predicted."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from clipfold.storage.files import PathLike, read_frame

if TYPE_CHECKING:
    import pandas as pd

UNLABELLED = "unlabelled"
"""In the column `split`: the video has no label; the model of every fold predicts it, and none learns from it."""


def read_assigned(splits: PathLike) -> "pd.DataFrame":
    """Read the videos that have a label: `id label group repeat fold split`."""
    table = read_frame(splits)
    return table[table["split"] != UNLABELLED].reset_index(drop=True)


def read_unlabelled(splits: PathLike) -> list[str]:
    """Read the ids of the videos that have none, sorted."""
    table = read_frame(splits)
    return sorted(set(table.loc[table["split"] == UNLABELLED, "id"]))


def in_order(classes: Iterable[str], positive: str = "") -> list[str]:
    """Sort the names of classes, the positive one last if one is named. Models have them sorted in any case.

    >>> in_order(["real", "fake"]), in_order(["real", "fake"], positive="fake")
    (['fake', 'real'], ['real', 'fake'])
    """
    return sorted(classes, key=lambda name: (name == positive, name))
