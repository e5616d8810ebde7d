"""The job of fitting one model on one fold, the same for every kind of model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipfold.storage.files import PathLike
from clipfold.storage.hashing import stable_hash


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One model to fit on one fold.

    Args:
        module: Module of the architecture.
        settings: Settings of the model.
        data: Kind of data -> files of all shards to learn from; `embedding_NAME` of a frozen encoder's embeddings.
        splits: Table of the folds.
        fold: Number of the fold; None if the fit is of no fold, see `FinalTask`.
        outputs: Files to write: `model`, `history`, `predictions`, `record`.
        seed: Seed of the run; see `training_seed`.
        threads: CPU threads to use.
        scratch: Folder for a network's checkpoint, TensorBoard's files and the profiler's trace.
        stored_size: Edge in pixels of the clips as decoded (`decode.size`).
        gpus: GPUs that train a network together, each in its own process.
        number: Which training of the fold this is, see `clipfold.training.seeds`.
        chosen_by: Outputs of the training that chose the epoch, if this is the second one of `clipfold.training.refit`.
        views: View -> its options in `decode.views`, for the views that the data come from; recorded in `fit.json`.
    """

    module: str
    settings: Mapping[str, Any]
    data: Mapping[str, Sequence[PathLike]]
    splits: PathLike
    fold: int | None
    outputs: Mapping[str, PathLike]
    seed: int
    threads: int
    scratch: PathLike
    stored_size: int
    gpus: int = 1
    number: int = 0
    chosen_by: Mapping[str, PathLike] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def training_seed(self) -> int:
        """Seed for everything random: initial weights, order, augmentation. Every training of every fold has its own.

        Fold numbers continue over repeats. With one seed for all folds, they would share the luck of its start, and
        their mean would not lessen it.
        """
        return stable_hash(f"{self.seed}/{self.fold}/{self.number}", digest_size=4)
