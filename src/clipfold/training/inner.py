"""Choose between settings of a model by inner folds, which keep groups together; test videos have no part in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from clipfold.evaluation.temperature import Calibration, fit_calibration, scale
from clipfold.models.fitted import class_probabilities
from clipfold.storage.files import Array

INNER_FOLDS = 5

Make = Callable[[Mapping[str, Any]], Any]
"""Builds a classifier from settings without grids."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Videos to learn from and to choose by.

    Args:
        x: Their features, float (videos, columns), or a data frame.
        targets: Class indices, int64 (videos,).
        groups: The group of each, (videos,).
        classes: Number of all classes.
        folds: Indices of the videos to fit on and of those to predict, of each inner fold; see `inner_folds`.
    """

    x: Any
    targets: Array
    groups: Array
    classes: int
    folds: Sequence[tuple[Array, Array]]

    @property
    def held(self) -> Array:
        """Indices of the videos that an inner fold predicts, in order, int64."""
        return np.sort(np.concatenate([held for _, held in self.folds]))


@dataclass(frozen=True, slots=True)
class Choice:
    """What the inner folds chose.

    Args:
        settings: Settings without grids.
        tried: For each combination of a grid: its values and `loss`. Empty if there was no choice.
        loss: The log-loss of the chosen one, after calibration.
        probabilities: Its out-of-fold probabilities for `Rows.held`, not calibrated, float64 (videos, classes).
        calibration: Their calibration.
    """

    settings: Mapping[str, Any]
    tried: list[dict[str, Any]]
    loss: float
    probabilities: Array
    calibration: Calibration


def inner_folds(targets: Array, groups: Array, given: Array) -> list[tuple[Array, Array]]:
    """Assign videos to inner folds, by groups.

    Args:
        targets: Class indices, int64 (videos,).
        groups: The group of each video, (videos,).
        given: True for the videos of the validation split, bool (videos,).

    Returns:
        As many as `INNER_FOLDS`, fewer where a class has fewer groups: each fits on all classes. The given split alone
        where even two are too many.
    """
    classes = np.unique(targets)
    most = min(INNER_FOLDS, *(len(np.unique(groups[targets == c])) for c in classes))
    for count in range(most, 1, -1):
        folds = list(StratifiedGroupKFold(count).split(targets, targets, groups))
        if all(len(np.unique(targets[fitted])) == len(classes) and len(held) for fitted, held in folds):
            return folds
    return [(np.flatnonzero(~given), np.flatnonzero(given))]


def combinations(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """List the combinations of the values of all grids, those listed first first.

    >>> [*combinations({"C": {"grid": [0.1, 1]}, "kernel": "rbf"})]
    [{'C': 0.1}, {'C': 1}]
    """
    grids = {name: value["grid"] for name, value in settings.items() if isinstance(value, dict)}
    return (dict(zip(grids, values, strict=True)) for values in product(*grids.values()))


def choose(make: Make, settings: Mapping[str, Any], rows: Rows) -> Choice:
    """Choose the combination of settings with the lowest log-loss out of fold; of equals, the one listed first.

    Losses are compared after calibration: one that is badly scaled, by class weights for example, may know more.

    Args:
        make: Builds the classifier.
        settings: All settings, some of them `{"grid": [...]}`.
        rows: The videos.
    """
    held, best, tried = rows.held, None, []
    number = len(np.unique(rows.groups[held]))
    for values in combinations(settings):
        probabilities = out_of_fold(lambda own=values: make({**settings, **own}), rows)  # type: ignore[misc]
        calibration = fit_calibration(rows.targets[held], probabilities, number)
        loss = calibrated_loss(rows.targets[held], probabilities, calibration)
        tried.append({**values, "loss": loss})
        if best is None or loss < best.loss:
            best = Choice({**settings, **values}, tried, loss, probabilities, calibration)
    assert best is not None
    return best


def out_of_fold(make: Callable[[], Any], rows: Rows) -> Array:
    """Predict each video of `rows.held` by a fit that has not seen its group, float64 (videos, classes)."""
    found = np.full((len(rows.targets), rows.classes), np.nan)
    for fitted, held in rows.folds:
        model = make().fit(at(rows.x, fitted), rows.targets[fitted])
        found[held] = class_probabilities(model, at(rows.x, held), rows.classes)
    return found[rows.held]


def at(x: Any, rows: Array) -> Any:
    """Return some rows of an array or data frame."""
    return x.iloc[rows] if hasattr(x, "iloc") else x[rows]


def columns_of(x: Any, positions: Sequence[int]) -> Any:
    """Return some columns of an array or data frame."""
    return x.iloc[:, positions] if hasattr(x, "iloc") else x[:, positions]


def calibrated_loss(targets: Array, probabilities: Array, calibration: Calibration) -> float:
    """Compute the log-loss of calibrated probabilities."""
    own = scale(probabilities, *calibration)
    return float(log_loss(targets, own, labels=range(own.shape[1])))
