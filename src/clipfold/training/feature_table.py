"""Read the table of features for a fit: an array of numbers, or a data frame where some columns are categories."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from clipfold.models.tabular import encoded, text_columns
from clipfold.storage.files import PathLike, read_table


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features that a model learns from.

    Args:
        table: A row per video, by id.
        columns: Those to learn from.
        categories: Those of them that are text.
    """

    table: pd.DataFrame
    columns: list[str]
    categories: list[str]

    def rows(self, ids: Sequence[str]) -> Any:
        """Return the rows of some videos: float (videos, columns), or a data frame if there are categories."""
        found = self.table.loc[list(ids), self.columns]
        return found if self.categories else found.to_numpy()

    def fitting(self, model: Any) -> Any:
        """Return a model of these columns, made from one of numbers."""
        return encoded(model, self.columns, self.categories) if self.categories else model

    @property
    def facts(self) -> dict[str, list[str]]:
        """What the record of a fit says of them."""
        return {"features": self.columns} | ({"categories": self.categories} if self.categories else {})


def read_features(paths: Sequence[PathLike], wanted: Callable[[str], bool]) -> FeatureTable:
    """Read the features of all shards; `wanted` says which columns to learn from."""
    table = read_table(paths).to_pandas().set_index("id")
    columns = [name for name in table.columns if wanted(name)]
    return FeatureTable(table, columns, text_columns(table, columns))
