"""What a fit is asked to do, whatever kind of model it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipfold.storage.files import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One model to be fitted on one fold.

    Args:
        module: of the architecture.
        settings: of the model.
        data: files of all shards that it learns from, by what they are.
        splits: table of the folds.
        fold: which of them.
        outputs: `model`, `history`, `predictions`, `record`: the files to write.
        seed: of everything drawn: weights, order, changes.
        threads: of the CPU.
        scratch: folder for a network's checkpoint, TensorBoard's files and the profiler's trace.
        stored_size: edge in pixels that clips were first stored at.
        gpus: graphics processors that train a network together, each in a process of its own.
    """

    module: str
    settings: Mapping[str, Any]
    data: Mapping[str, Sequence[PathLike]]
    splits: PathLike
    fold: int
    outputs: Mapping[str, PathLike]
    seed: int
    threads: int
    scratch: PathLike
    stored_size: int
    gpus: int = 1
