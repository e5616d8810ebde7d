"""Read the table of features for a fit: an array of numbers, or a data frame where some columns are categories."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from clipfold.features.embedding import read_tables
from clipfold.models.tabular import encoded, text_columns
from clipfold.storage.files import PathLike


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features that a model learns from.

    Args:
        table: A row per video, by id.
        columns: Those to learn from.
        categories: Those of them that are text.
        encoders: Feature group -> description of the frozen encoder whose embeddings it holds.
    """

    table: pd.DataFrame
    columns: list[str]
    categories: list[str]
    encoders: Mapping[str, Any] = field(default_factory=dict)

    def only(self, columns: Sequence[str]) -> "FeatureTable":
        """Return the table with some of the columns to learn from."""
        text = [name for name in self.categories if name in columns]
        return FeatureTable(self.table, list(columns), text, self.encoders)

    def rows(self, ids: Sequence[str]) -> Any:
        """Return the rows of some videos: float (videos, columns), or a data frame if there are categories."""
        found = self.table.loc[list(ids), self.columns]
        return found if self.categories else found.to_numpy()

    def fitting(self, model: Any) -> Any:
        """Return a model of these columns, made from one of numbers."""
        return encoded(model, self.columns, self.categories) if self.categories else model

    @property
    def facts(self) -> dict[str, Any]:
        """What the record of a fit says of them."""
        more = {"categories": self.categories, "encoders": dict(self.encoders)}
        return {"features": self.columns} | {name: value for name, value in more.items() if value}


def read_features(data: Mapping[str, Sequence[PathLike]], wanted: Callable[[str], bool]) -> FeatureTable:
    """Read the features of all shards.

    Args:
        data: See `read_tables`.
        wanted: Says which columns to learn from.
    """
    table, encoders = read_tables(data, wanted)
    columns = [name for name in table.columns if wanted(name)]
    return FeatureTable(table, columns, text_columns(table, columns), encoders)
