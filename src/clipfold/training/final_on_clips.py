"""Train a network on the clips of all videos, with the code of `on_clips`."""

import json
import sys
from functools import partial
from pathlib import Path

from clipfold.storage.job import keep_freed_memory
from clipfold.training.final import FinalTask, epoch_factors
from clipfold.training.final_trainer import FinalTrainer
from clipfold.training.fold import read_fold
from clipfold.training.launch import log_to_starter, start
from clipfold.training.on_clips import train_here
from clipfold.training.seeds import repeat


def fit(task: FinalTask) -> None:
    """Train one model on all videos, for the median of its folds' best epochs; the last epoch is kept.

    A fit that was killed resumes from its last checkpoint, as one of `on_clips`; module, data and errors are as there.
    """
    module = "clipfold.training.final_on_clips"
    repeat(task, module, lambda once: start(once, module, fit_here))


def fit_here(task: FinalTask) -> None:
    """Fit in this process, which may be one of several, see `fit`."""
    factors = epoch_factors(task.records, task.histories, task.settings)
    fold = read_fold(task.splits, task.fold)
    train_here(task, fold, "clipfold.training.final_on_clips", partial(FinalTrainer, factors=factors), factors)


if __name__ == "__main__":
    log_to_starter()
    keep_freed_memory()
    fit_here(FinalTask(**json.loads(Path(sys.argv[1]).read_bytes())))
