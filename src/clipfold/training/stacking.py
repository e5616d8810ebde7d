"""Stack models on parts of the columns: weights from out-of-fold predictions of the inner folds, never from test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clipfold.models.mixing import mix
from clipfold.storage.files import Array
from clipfold.training.feature_table import FeatureTable
from clipfold.training.inner import Rows, choose, columns_of, combinations
from clipfold.training.weights import fit_weights


@dataclass(frozen=True, slots=True)
class Stacked:
    """Members with chosen settings, their weights, and what the record of a fit says of them.

    Args:
        members: Classifiers, not fitted.
        weights: Float64 (members,).
        probabilities: Out of fold, for `Rows.held`, float64 (videos, classes).
        facts: `weights`, `chosen` and `tried`, by the name of each member.
    """

    members: list[Any]
    weights: Array
    probabilities: Array
    facts: dict[str, Any]


def stack(
    parts: Mapping[str, list[int]],
    build: Callable[[Mapping[str, Any]], Any],
    settings: Mapping[str, Any],
    table: FeatureTable,
    rows: Rows,
) -> Stacked:
    """Choose the settings of each member, then the weights.

    Args:
        parts: Name of each member -> positions of its columns.
        build: Builds a classifier of numbers from settings without grids.
        settings: All settings.
        table: The features.
        rows: The videos.
    """
    members, found = [], {}
    for name, positions in parts.items():
        own = table.only([table.columns[i] for i in positions])
        part = replace(rows, x=columns_of(rows.x, positions))
        chosen = choose(lambda s, own=own: own.fitting(build(s)), settings, part)  # type: ignore[misc]
        members.append(own.fitting(build(chosen.settings)))
        found[name] = chosen
    each = np.stack([chosen.probabilities for chosen in found.values()])
    weights = fit_weights(each, rows.targets[rows.held])
    gridded = [*next(combinations(settings))]
    facts = {
        "weights": dict(zip(found, map(float, weights), strict=True)),
        "chosen": {name: {key: own.settings[key] for key in gridded} for name, own in found.items()},
        "tried": [{"member": name, **tried} for name, own in found.items() for tried in own.tried],
    }
    return Stacked(members, weights, mix(weights, each), facts)
