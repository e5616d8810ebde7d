"""The training videos that a bundle remembers: what they look like and how they score, for distance and drift."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.delivery.distance import Reference, choose
from clipfold.delivery.embedding import write_embeddings
from clipfold.delivery.format import REFERENCE
from clipfold.delivery.inputs import describe
from clipfold.evaluation.temperature import biases, scale
from clipfold.models.record import read_record
from clipfold.storage.assigned import read_assigned
from clipfold.storage.files import Array, open_array, read_frame, read_table, write_table
from clipfold.table.inputs import describe_rows

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle
    from clipfold.delivery.task import BundleTask


def write_reference(folder: Path, bundle: "OpenBundle", task: "BundleTask", model: str, choices: pd.DataFrame) -> None:
    """Write the table into the folder of a bundle; `choices` are what the folds chose, by fold.

    Its columns: `id` and `group`, as numbers, for names may tell what nobody should know; `label`; `p_<class>`,
    calibrated and out of fold; `distance`; `input.<name>`. If the model looks through a frozen encoder, the embeddings
    of the same videos are written beside it.
    """
    used: Any = read_assigned(task.splits).drop_duplicates("id").set_index("id")[["label", "group"]]
    ids = sorted(used.index)
    chosen = [ids[i] for i in choose(ids)]
    rows = _rows(bundle, task) if bundle.table else _videos(task, set(chosen))
    table = rows.reindex(chosen)
    scores = _scores(task, model, bundle.classes, choices).reindex(chosen)
    reference = pd.concat([used.loc[chosen], scores, table.add_prefix("input.")], axis=1)
    reference["group"] = np.unique(reference.group, return_inverse=True)[1]
    reference["distance"] = Reference(reference).own
    reference.insert(0, "id", np.arange(len(reference)))
    if any(read_record(path).get("embedded") for path in (folder / "fits").rglob("fit.json")):
        write_embeddings(folder, _embedded(bundle, task, chosen))
    write_table(folder / REFERENCE, pa.Table.from_pandas(reference, preserve_index=False).replace_schema_metadata(None))


def _rows(bundle: "OpenBundle", task: "BundleTask") -> pd.DataFrame:
    assert bundle.table is not None
    rows = read_frame(task.features).set_index("id")
    return describe_rows(rows, bundle.table["columns"], bundle.table["categories"])


def _videos(task: "BundleTask", wanted: set[str]) -> pd.DataFrame:
    return pd.DataFrame(list(_described(task, wanted))).set_index("id")


def _described(task: "BundleTask", wanted: set[str]) -> Iterator[dict[str, str | float]]:
    for metadata, clips, index in zip(task.metadata, task.clips, task.index, strict=True):
        probed = {row["id"]: row for row in read_table(metadata).to_pylist() if row["id"] in wanted}
        stored = open_array(clips)
        for row in read_table(index, ("id", "row", "clips_box", "clips_frames")).to_pylist():
            if row["id"] in probed:
                yield {"id": row["id"]} | describe(
                    probed[row["id"]], stored[row["row"]], row["clips_box"], row["clips_frames"]
                )


def _embedded(bundle: "OpenBundle", task: "BundleTask", chosen: Sequence[str]) -> Array:
    """Embed the chosen videos, float32 (videos, width)."""
    found: dict[str, Array] = {}
    for clips, index in zip(task.clips, task.index, strict=True):
        rows = {row["id"]: row["row"] for row in read_table(index, ("id", "row")).to_pylist()}
        wanted = [name for name in chosen if name in rows]
        if wanted:
            found |= zip(wanted, bundle.embed(open_array(clips)[[rows[name] for name in wanted]]), strict=True)
    return np.stack([found[name] for name in chosen])


def _scores(task: "BundleTask", model: str, classes: list[str], choices: pd.DataFrame) -> pd.DataFrame:
    """Return the calibrated out-of-fold probabilities, mean over repeats, by id."""
    table = read_table(task.evaluation["predictions"]).to_pandas()
    table = table[table.model == model]
    columns, chosen = [f"p_{name}" for name in classes], choices.loc[table.fold]
    table[columns] = scale(table[columns].to_numpy(), chosen.temperature.to_numpy(), biases(chosen, classes))
    means: pd.DataFrame = table.groupby("id")[columns].mean()
    return means
