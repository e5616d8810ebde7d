"""The job of explaining one model, the same for every kind of model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipfold.storage.files import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainTask:
    """One model to explain, each of its predictions with the fold that tested the video.

    Args:
        settings: Settings of the model.
        data: Kind of data -> files of all shards: `features`, or `clips` and `index` at the model's size.
        models: Fitted model of every fold.
        predictions: Predictions of every fold, in the same order.
        records: `fit.json` of every fold, in the same order.
        output: Table to write.
        seed: Seed for random choices: clips to show, shuffling.
        threads: CPU threads to use.
        stored_size: Edge in pixels of the clips as decoded (`decode.size`); for networks.
        errors: Largest number of confident errors to explain; for networks.
        hits: Largest number of correct predictions to explain; for networks.
    """

    settings: Mapping[str, Any]
    data: Mapping[str, Sequence[PathLike]]
    models: Sequence[PathLike]
    predictions: Sequence[PathLike]
    records: Sequence[PathLike]
    output: PathLike
    seed: int
    threads: int
    stored_size: int
    errors: int
    hits: int
