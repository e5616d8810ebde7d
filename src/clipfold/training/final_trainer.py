"""Train for a given number of epochs, without validation videos."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clipfold.training.host import on_host
from clipfold.training.plan import TrainingPlan
from clipfold.training.trainer import Trainer


class FinalTrainer(Trainer):
    """A training loop that keeps the last of a given number of epochs.

    Each epoch has the learning rate that it has in a fold: the schedule is that of `epochs` in the settings, and is
    left where the folds were best. A schedule over the given number alone would end at a rate of 0 where the folds
    were best at a higher one, and the number would not mean the same.

    Args:
        plan: As for `Trainer`; `val` has no videos.
        factors: Factor of the learning rate in each epoch to train, relative to the schedule; the first is 1.
    """

    def __init__(self, plan: TrainingPlan, factors: Sequence[float]) -> None:
        # A loop whose validation loss never falls ends after `patience` epochs.
        super().__init__(replace(plan, settings={**plan.settings, "patience": len(factors)}))
        self._factors = factors

    def kept(self) -> dict[str, int]:
        """Tell how many epochs were trained: the last one was kept."""
        return {"epochs": len(self._factors)}

    def _validate(self) -> None:
        """Record the epoch and keep its weights: there is nothing to choose an epoch by."""
        p, epochs = self.progress, len(self._factors)
        row = {
            "epoch": p.epoch,
            "train_loss": float(self._processes.all_reduce_sum(self.train_step.total)) / len(self._train.ids),
            "learning_rate": max(float(group["lr"]) for group in self.optimizer.param_groups),
            "seconds": self._recorder.seconds(),
        }
        p.history.append(row)
        self._recorder.epoch(p.history, epochs, np.empty((0, 1)))
        self.best = on_host(self._validated().state_dict())
        if p.epoch < epochs:
            p.scale *= self._factors[p.epoch] / self._factors[p.epoch - 1]
