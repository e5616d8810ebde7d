"""Measure a bundle on labelled videos that it never saw: an external test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from clipfold.evaluation import intervals, measure
from clipfold.evaluation.pooling import Pooled
from clipfold.manifest.names import plain


@dataclass(frozen=True, slots=True)
class External:
    """An external test.

    Args:
        videos: Videos that were predicted and have a label of the model.
        groups: Groups of these; each video is its own where none is given.
        grouped: Whether groups are given for all of them.
        other: Label -> number of videos whose label the model does not know.
        seen: Labelled videos that are left out, since the model was trained on them.
        metrics: Rows of `clipfold.evaluation.measure.SCHEMA`: metrics with 95 % intervals, calibrated probabilities.
        confusion: Videos by true class and predicted class, in the order of the classes.
    """

    videos: int
    groups: int
    grouped: bool
    other: dict[str, int]
    seen: int
    metrics: list[dict[str, Any]]
    confusion: list[list[int]]


def external_test(
    table: pd.DataFrame,
    classes: Sequence[str],
    labels: Mapping[str, str],
    groups: Mapping[str, str],
    seed: int = 0,
) -> External | None:
    """Compare predictions with given labels.

    Args:
        table: Predictions, see `clipfold.delivery.predict.predict_videos`.
        classes: Class names of the bundle.
        labels: id -> true class.
        groups: id -> recording, person or camera, over which the bootstrap draws.
        seed: Seed of the bootstrap.

    Returns:
        None if no predicted video, but for the training videos, has a label of the model.
    """
    true = table.id.map(labels).map(plain, na_action="ignore")
    labelled = (table.status == "ok") & true.isin(list(classes))
    predicted = table[labelled & ~table.seen].reset_index(drop=True)
    unknown = true[true.notna() & ~true.isin(list(classes))].value_counts()
    other = {str(name): int(count) for name, count in unknown.items()}
    if predicted.empty:
        return None
    index = {name: number for number, name in enumerate(classes)}
    targets = predicted.id.map(labels).map(plain).map(index).to_numpy(np.int64)
    decided = predicted.label.map(index).to_numpy(np.int64)
    group = np.array([groups.get(name, f"video {name}") for name in predicted.id])
    codes = np.unique(group, return_inverse=True)[1]
    pooled = Pooled(
        predicted.assign(repeat=0, fold=0),
        pd.DataFrame(),
        targets,
        codes,
        (probabilities := predicted[[f"p_{name}" for name in classes]].to_numpy(np.float64)),
        probabilities,
        decided if len(classes) == 2 else None,
    )
    measured = measure.measure(pooled, classes, intervals.draw(int(codes.max()) + 1, seed))
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (targets, decided), 1)
    return External(
        videos=len(predicted),
        groups=len(np.unique(codes)),
        grouped=all(name in groups for name in predicted.id),
        other=other,
        seen=int((labelled & table.seen).sum()),
        metrics=[
            row
            for row in measure.table("", measured, classes)
            if row["scope"] == "pooled" and row["metric"] != "roc_auc_within"  # one model: there are no folds
        ],
        confusion=confusion.tolist(),
    )
