"""The training videos that a bundle remembers: what they look like and how they score, for distance and drift."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.delivery.distance import Reference, choose
from clipfold.delivery.format import REFERENCE
from clipfold.delivery.inputs import describe
from clipfold.evaluation.calibration import scale
from clipfold.storage.assigned import read_assigned
from clipfold.storage.files import open_array, read_table, write_table

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle
    from clipfold.delivery.task import BundleTask


def write_reference(
    folder: Path, bundle: "OpenBundle", task: "BundleTask", model: str, temperatures: "pd.Series[float]"
) -> None:
    """Write the table into the folder of a bundle; `temperatures` are those of the folds.

    Its columns: `id` and `group`, as numbers, for names may tell what nobody should know; `label`; `p_<class>`,
    calibrated and out of fold; `distance`; `input.<name>`.
    """
    used: Any = read_assigned(task.splits).drop_duplicates("id").set_index("id")[["label", "group"]]
    ids = sorted(used.index)
    chosen = [ids[i] for i in choose(ids)]
    table = pd.DataFrame(list(_described(task, set(chosen)))).set_index("id").reindex(chosen)
    columns = [f"p_{name}" for name in bundle.classes]
    scores = _scores(task, model, columns, temperatures).reindex(chosen)
    reference = pd.concat([used.loc[chosen], scores, table.add_prefix("input.")], axis=1)
    reference["group"] = np.unique(reference.group, return_inverse=True)[1]
    reference["distance"] = Reference(reference).own
    reference.insert(0, "id", np.arange(len(reference)))
    write_table(folder / REFERENCE, pa.Table.from_pandas(reference, preserve_index=False).replace_schema_metadata(None))


def _described(task: "BundleTask", wanted: set[str]) -> Iterator[dict[str, str | float]]:
    for metadata, clips, index in zip(task.metadata, task.clips, task.index, strict=True):
        probed = {row["id"]: row for row in read_table(metadata).to_pylist() if row["id"] in wanted}
        stored = open_array(clips)
        for row in read_table(index, ("id", "row", "clips_box", "clips_frames")).to_pylist():
            if row["id"] in probed:
                yield {"id": row["id"]} | describe(
                    probed[row["id"]], stored[row["row"]], row["clips_box"], row["clips_frames"]
                )


def _scores(task: "BundleTask", model: str, columns: list[str], temperatures: "pd.Series[float]") -> pd.DataFrame:
    """Return the calibrated out-of-fold probabilities, mean over repeats, by id."""
    table = read_table(task.evaluation["predictions"]).to_pandas()
    table = table[table.model == model]
    table[columns] = scale(table[columns].to_numpy(), temperatures.loc[table.fold].to_numpy())
    means: pd.DataFrame = table.groupby("id")[columns].mean()
    return means
