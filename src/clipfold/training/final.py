"""The job of fitting one model on all data, and what it takes from the model's folds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np
import pandas as pd

from clipfold.storage.files import Array, PathLike, read_json
from clipfold.storage.trainings import by_training
from clipfold.training.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalTask(Task):
    """One model to fit on all data, with what its folds chose on their training and validation videos.

    Args:
        records: `fit.json` of every fold.
        histories: `history.csv` of every fold, in the same order.
        fold: None: this fit is of no fold.
        outputs: Files to write: `model`, `history`, `record`. No video is left to predict.
    """

    records: Sequence[PathLike]
    histories: Sequence[PathLike]
    fold: None = None  # null in fit.json, where fits on folds have a number

    @property
    def chosen(self) -> list[dict[str, Any]]:
        """The records of all folds."""
        return [read_json(path) for path in self.records]


def median_epoch(records: Sequence[dict[str, Any]]) -> int:
    """Return the median of the folds' best epochs, rounded up.

    >>> median_epoch([{"best_epoch": 9}, {"best_epoch": 4}, {"best_epoch": 2}, {"best_epoch": 5}])
    5
    """
    return math.ceil(median(int(record["best_epoch"]) for record in records))


def epoch_factors(
    records: Sequence[PathLike], histories: Sequence[PathLike], settings: Mapping[str, Any]
) -> list[float]:
    """Find for how many epochs to train without validation videos, and at which rates.

    Args:
        records: `fit.json` of each fit that had some; the median of their best epochs is the number.
        histories: `history.csv` of each, in the same order.
        settings: Settings of the model.

    Returns:
        Factor of the learning rate in each epoch, see `plateau_factors`; 1 in all with another schedule.
    """
    epochs = median_epoch([read_json(path) for path in records])
    if settings["schedule"] != "plateau":
        return [1.0] * epochs
    factors: list[float] = plateau_factors(read_rates(histories), epochs).tolist()
    return factors


def plateau_factors(rates: Sequence[Sequence[float]], epochs: int) -> Array:
    """Find when `schedule: plateau` lowered the learning rate in the folds: it does so on validation videos.

    Args:
        rates: Learning rate of each epoch of each training; one that ended earlier keeps its last one.
        epochs: Number of epochs.

    Returns:
        Factor of the rate in each epoch, float64 (epochs,): the lower median of the folds' own.

    >>> plateau_factors([[0.5, 1, 1, 0.1], [0.5, 1, 0.1, 0.1], [0.5, 1]], 4).tolist()
    [1.0, 1.0, 1.0, 0.1]
    """
    factors = [np.divide(each, np.maximum.accumulate(each)) for each in rates]
    padded = [np.pad(each, (0, max(0, epochs - len(each))), "edge")[:epochs] for each in factors]
    return np.asarray(np.quantile(padded, 0.5, axis=0, method="lower"))


def read_rates(histories: Sequence[PathLike]) -> list[list[float]]:
    """Read the learning rate of each epoch of each training of each fold."""
    return [own["learning_rate"].tolist() for path in histories for own in by_training(pd.read_csv(path))]


def best_member(records: Sequence[dict[str, Any]]) -> str:
    """Return the member of a select with the lowest mean loss over its folds; of equals, the one listed first.

    >>> best_member([{"tried": [{"member": "a", "loss": 0.5}, {"member": "b", "loss": 0.4}]}])
    'b'
    """
    names = [str(each["member"]) for each in records[0]["tried"]]
    losses = [fmean(record["tried"][i]["loss"] for record in records) for i in range(len(names))]
    return names[losses.index(min(losses))]


def mean_weights(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Average the weights of an ensemble's members over its folds.

    >>> mean_weights([{"weights": {"svm": 0.25, "cnn": 0.75}}, {"weights": {"svm": 0.75, "cnn": 0.25}}])
    {'svm': 0.5, 'cnn': 0.5}
    """
    return {name: fmean(record["weights"][name] for record in records) for name in records[0]["weights"]}
