"""Pool the test predictions of all folds, with the threshold and calibration that each fold chose without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from clipfold.evaluation.calibration import choose_threshold, decide, expected_threshold
from clipfold.evaluation.temperature import biases, fit_calibration, scale
from clipfold.storage.files import Array, PathLike, read_table

KEYS = ("id", "label", "group", "repeat", "fold", "model")


@dataclass(frozen=True, slots=True)
class Pooled:
    """A model's out-of-fold predictions, at most one per video and repeat.

    Args:
        table: `id label group repeat fold model p_<class>...`, sorted by repeat, then id; the same rows for all models.
        choices: Values chosen on predictions of each fold for videos that the fit had not seen (`chosen_on`): `fold`,
            `videos`, `groups`, `threshold` (NaN for more than two classes), `temperature`, `bias_<class>` and `bounded`
            (see `temperature.Calibration`).
        targets: Class indices, int of (rows,).
        groups: The group of each row, an index into the sorted groups, int of (rows,).
        probabilities: Float of (rows, classes).
        calibrated: `probabilities` with the calibration of their fold.
        decided: Class indices at the threshold of their fold, int of (rows,); None for more than two classes.
    """

    table: pd.DataFrame
    choices: pd.DataFrame
    targets: Array
    groups: Array
    probabilities: Array
    calibrated: Array
    decided: Array | None

    @property
    def repeats(self) -> list[Array]:
        """Row indices of each repeat, int of (videos,)."""
        return [np.flatnonzero(self.table["repeat"] == each) for each in sorted(self.table["repeat"].unique())]

    @property
    def folds(self) -> Array:
        """The fold that tested each row, int of (rows,); numbers continue over repeats."""
        return self.table["fold"].to_numpy()

    @property
    def predicted(self) -> Array:
        """The most probable class of each row."""
        return np.asarray(self.probabilities.argmax(axis=1))


def read_predictions(paths: Sequence[PathLike]) -> list[pd.DataFrame]:
    """Read the prediction tables of a model, in fold order."""
    return [read_table(path).to_pandas() for path in paths]


def pool(model: str, tables: Sequence[pd.DataFrame], videos: pd.DataFrame, classes: Sequence[str]) -> Pooled:
    """Gather the test rows of all folds; choose threshold and calibration of each fold on its other rows.

    Args:
        model: Name of the model.
        tables: Its predictions, in fold order.
        videos: Table of the folds, the source of labels and groups.
        classes: Class names in the order of the columns to use; of two, the last is positive.

    Returns:
        One row per test video and repeat.

    Raises:
        ValueError: A test video is missing or duplicated, or predicted in a fold that does not test it.
    """
    columns = [f"p_{name}" for name in classes]
    parts = [table[["id", "label", "split", *columns]].assign(fold=fold) for fold, table in enumerate(tables)]
    given = pd.concat(parts, ignore_index=True)
    groups = videos.drop_duplicates("id").set_index("id")["group"]
    choices = pd.DataFrame([{"fold": i} | _choose(chosen_on(part), groups, classes) for i, part in enumerate(parts)])
    table = _checked(model, given.loc[given.split == "test", ["id", "fold", *columns]], videos)
    targets, probabilities = target_indices(table.label, classes), table[columns].to_numpy(np.float64)
    chosen = choices.loc[table.fold]
    return Pooled(
        table,
        choices,
        targets,
        np.unique(table.group.to_numpy(str), return_inverse=True)[1],
        probabilities,
        scale(probabilities, chosen.temperature.to_numpy(), biases(chosen, classes)),
        decide(probabilities, chosen.threshold.to_numpy()) if len(classes) == 2 else None,
    )


def target_indices(labels: pd.Series[str], classes: Sequence[str]) -> Array:
    """Convert labels to class indices, int64 of (rows,)."""
    return labels.map({name: i for i, name in enumerate(classes)}).to_numpy(np.int64)


def chosen_on(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions that choices are made on.

    Those of networks are for the validation split. Models on features have out-of-fold predictions of inner fits for
    the train split, too.
    """
    return predictions[predictions.split.isin(("train", "val"))]


def _choose(rows: pd.DataFrame, groups: pd.Series[str], classes: Sequence[str]) -> dict[str, Any]:
    targets = target_indices(rows.label, classes)
    probabilities = rows[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    number = rows.id.map(groups).nunique()
    found = fit_calibration(targets, probabilities, number)
    positive, threshold = targets == 1, np.nan
    if len(classes) == 2:
        expected = expected_threshold(positive, found) if 0 < positive.mean() < 1 else 0.5
        threshold = choose_threshold(positive, probabilities[:, 1], expected, number)
    chosen = {"videos": len(rows), "groups": number, "threshold": threshold, "temperature": found.temperature}
    own = {f"bias_{name}": float(value) for name, value in zip(classes, found.bias, strict=True)}
    return chosen | own | {"bounded": found.bounded}


def _checked(model: str, given: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """Check that each video was predicted in exactly the folds that test it; return the sorted rows."""
    expected = videos.loc[videos.split == "test", ["id", "label", "group", "repeat", "fold"]]
    repeat = videos.drop_duplicates("fold").set_index("fold")["repeat"]
    tested = pd.MultiIndex.from_frame(expected[["id", "repeat"]])
    found = pd.MultiIndex.from_arrays([given.id, given.fold.map(repeat)])
    missing, doubled = len(tested.difference(found)), found[found.duplicated()].nunique()
    pooled = expected.merge(given, on=["id", "fold"])
    foreign = len(given) - len(pooled)
    if missing or doubled or foreign:
        raise ValueError(
            f"{model}: of {videos.id.nunique()} usable videos, {missing} are missing from the test predictions and "
            f"{doubled} are duplicated; {foreign} rows are not in their fold's test split: "
            "delete the model's results and train it again"
        )
    pooled.insert(len(KEYS) - 1, "model", model)
    return pooled.sort_values(["repeat", "id"], ignore_index=True)
