"""What every fit needs of its fold, and leaves behind."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.storage.files import Array, PathLike, read_table, write_json, write_table


@dataclass(frozen=True, slots=True)
class Fold:
    """The videos of one fold, by split.

    Args:
        number: of the fold.
        classes: all class names, sorted; the order of the probabilities.
        table: `id`, `label`, `split` and `target`, the class's index; sorted by id.
    """

    number: int
    classes: list[str]
    table: pd.DataFrame

    def ids(self, split: str) -> list[str]:
        """Ids of the videos in a split."""
        return self.table.loc[self.table.split == split, "id"].tolist()

    def targets(self, split: str) -> Array:
        """Class indices of the videos in a split, int64, in the order of `ids`."""
        return self.table.loc[self.table.split == split, "target"].to_numpy(np.int64)


def read_fold(splits: PathLike, number: int) -> Fold:
    """Read one fold from the table of all."""
    table = read_table(splits).to_pandas()
    classes = sorted(table.label.unique())
    table = table.loc[table.fold == number, ["id", "label", "split"]].sort_values("id", ignore_index=True)
    return Fold(number, classes, table.assign(target=table.label.map({c: i for i, c in enumerate(classes)})))


def write_predictions(path: PathLike, fold: Fold, probabilities: Mapping[str, Array]) -> None:
    """Write predictions on the validation and the test part.

    Args:
        path: table of `id`, `label`, `split` and `p_<class>`.
        fold: whose videos were predicted.
        probabilities: split -> array of (videos, classes), in the order of `fold.ids(split)`; rows sum to 1.

    Raises:
        ValueError: not one finite row per video.
    """
    parts = []
    for split, values in probabilities.items():
        rows = fold.table.loc[fold.table.split == split, ["id", "label", "split"]]
        if values.shape != (len(rows), len(fold.classes)) or not np.isfinite(values).all():
            raise ValueError(f"{split}: {len(rows)} videos need as many finite rows, got an array of {values.shape}")
        columns = {f"p_{name}": values[:, i].astype(np.float64) for i, name in enumerate(fold.classes)}
        parts.append(rows.assign(**columns))
    write_table(path, pa.Table.from_pandas(pd.concat(parts), preserve_index=False).replace_schema_metadata(None))


def write_record(path: PathLike, fold: Fold, settings: Mapping[str, Any], **facts: Any) -> None:
    """Write `fit.json`: what was fitted on what, and how it went; `peak_mb` is the memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    facts = {"peak_mb": round(peak, 1)} | facts
    parts = {f"{split}_videos": len(fold.ids(split)) for split in ("train", "val", "test")}
    write_json(path, {"fold": fold.number, "classes": fold.classes, **parts, "settings": dict(settings), **facts})
