"""Read the fold of a fit; write its predictions and its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.models.record import FORMAT, Input, versions
from clipfold.storage.assigned import UNLABELLED, read_assigned
from clipfold.storage.files import Array, PathLike, read_table, write_json, write_table
from clipfold.storage.memory import peak_memory_mb
from clipfold.training.task import Task


@dataclass(frozen=True, slots=True)
class Fold:
    """The videos of one fold, by split.

    Args:
        number: Number of the fold; None: all videos, to train on.
        classes: All class names, sorted; the order of the probabilities.
        table: `id`, `label`, `group`, `split` and `target` (the class index; -1 without a label), sorted by id.
    """

    number: int | None
    classes: list[str]
    table: pd.DataFrame

    @property
    def predicted(self) -> list[str]:
        """Splits to predict: of `val`, `test` and the videos without a label, those that have some."""
        return [split for split in ("val", "test", UNLABELLED) if (self.table.split == split).any()]

    @property
    def learnt(self) -> pd.DataFrame:
        """The rows of all videos that a fit may learn from: train and val, where it is not kept for choices."""
        return self.table[self.table.split.isin(("train", "val"))]

    def for_choosing(self) -> Self:
        """Return the videos that a choice may see: those of train and val."""
        return replace(self, table=self.learnt.reset_index(drop=True))

    def for_refit(self) -> Self:
        """Return all videos, those of val for training: there is nothing left to choose."""
        return replace(self, table=self.table.assign(split=self.table.split.replace("val", "train")))

    def ids(self, split: str) -> list[str]:
        """Ids of the videos in a split."""
        return self.table.loc[self.table.split == split, "id"].tolist()

    def targets(self, split: str) -> Array:
        """Class indices of the videos in a split, int64, in the order of `ids`."""
        return self.table.loc[self.table.split == split, "target"].to_numpy(np.int64)


def read_fold(splits: PathLike, number: int | None) -> Fold:
    """Read one fold from the table of all folds; None: the videos of all folds, each once, to train on."""
    table, labelled = read_table(splits).to_pandas(), read_assigned(splits)
    classes = sorted(labelled.label.unique())
    rows = labelled.drop_duplicates("id").assign(split="train") if number is None else table[table.fold == number]
    table = rows[["id", "label", "group", "split"]].sort_values("id", ignore_index=True)
    targets = table.label.map({name: i for i, name in enumerate(classes)}).fillna(-1).astype(np.int64)
    return Fold(number, classes, table.assign(target=targets))


def write_predictions(
    path: PathLike,
    fold: Fold,
    probabilities: Mapping[str, Array],
    trainings: Mapping[str, Sequence[Array]] | None = None,
) -> None:
    """Write predictions of a fit: of the train split, only those of inner fits that have not seen the video.

    Args:
        path: Table to write: `id`, `label`, `split` and `p_<class>`; with trainings, `p<k>_<class>` of each as well.
        fold: The fold that was predicted.
        probabilities: Split -> float (videos, classes), in the order of `fold.ids(split)`; rows sum to 1.
        trainings: Split -> the same of each of several trainings; None, or none of them, if there was only one.

    Raises:
        ValueError: There is not one row of finite values per video.
    """
    tables = []
    for split, values in probabilities.items():
        rows = fold.table.loc[fold.table.split == split, ["id", "label", "split"]]
        if values.shape != (len(rows), len(fold.classes)) or not np.isfinite(values).all():
            raise ValueError(f"{split}: expected {len(rows)} rows of finite values, got an array of {values.shape}")
        each = {"p": values} | {f"p{k}": own for k, own in enumerate((trainings or {}).get(split, ()))}
        columns = {
            f"{p}_{name}": own[:, i].astype(np.float64)
            for p, own in each.items()
            for i, name in enumerate(fold.classes)
        }
        tables.append(rows.assign(**columns))
    write_table(path, pa.Table.from_pandas(pd.concat(tables), preserve_index=False).replace_schema_metadata(None))


def write_record(task: Task, fold: Fold, kind: Input, **facts: Any) -> None:
    """Write `fit.json`: how the fit went, and all that is needed to use the model again (`clipfold.models.load`).

    Args:
        task: The fit.
        fold: The fold it was fitted on.
        kind: Kind of data that the model reads.
        facts: Further values to record; `peak_mb` (default: the peak of this process) is its memory in MB.
    """
    write_json(
        task.outputs["record"],
        {
            "format": FORMAT,
            "architecture": task.module,
            "input": kind,
            "fold": fold.number,
            "classes": fold.classes,
            **{f"{split}_videos": len(fold.ids(split)) for split in ("train", "val", "test")},
            "settings": dict(task.settings),
            "seed": task.seed,
            "stored_size": task.stored_size,
            "views": {name: dict(options) for name, options in task.views.items()},
            "versions": versions(),
            "peak_mb": round(peak_memory_mb(), 1),
            **facts,
        },
    )
