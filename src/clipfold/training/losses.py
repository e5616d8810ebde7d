"""Losses on logits against soft targets; one formula for two classes and for many."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clipfold.models.network import class_logits
from clipfold.storage.files import Array

logger = logging.getLogger(__name__)


class Loss:
    """Cross-entropy or focal loss, summed over clips, with weights of classes and label smoothing.

    Args:
        settings: `loss`, `focal_gamma`, `focal_alpha`, `label_smoothing`, `class_weight`, `sampler`.
        targets: classes of the training part, int64 (videos,): the weights are balanced over it.
        classes: number of classes.
        device: where logits are.
    """

    def __init__(self, settings: Mapping[str, Any], targets: Array, classes: int, device: torch.device) -> None:
        self._classes = classes
        self._smoothing = settings["label_smoothing"]
        self._gamma = settings["focal_gamma"] if settings["loss"] == "focal" else 0.0
        alpha = settings["focal_alpha"]
        if settings["loss"] == "focal" and classes != 2 and alpha >= 0:
            logger.warning("focal_alpha is of two classes: ignored with %d, class_weight holds", classes)
        if settings["loss"] == "focal" and classes == 2 and alpha >= 0:
            weight = np.array([1 - alpha, alpha])
        elif settings["class_weight"] == "balanced" and settings["sampler"] != "balanced":  # which has done it already
            weight = len(targets) / (classes * np.bincount(targets, minlength=classes).clip(1))
        else:
            weight = np.ones(classes)
        self._weight = torch.tensor(weight, dtype=torch.float32, device=device)

    def soft(self, targets: Tensor) -> Tensor:
        """Class indices, int64 (batch,), as smoothed probabilities, float32 (batch, classes) (Szegedy et al. 2016)."""
        hot = nn.functional.one_hot(targets, self._classes).float()
        smooth: Tensor = hot * (1 - self._smoothing) + self._smoothing / self._classes
        return smooth

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch.

        Args:
            logits: float (batch, outputs).
            targets: probabilities, float32 (batch, classes).

        Returns:
            A scalar; with `focal_gamma` above 0, each term is damped by (1 - p)**gamma (Lin et al. 2017).
        """
        log_p = class_logits(logits.float()).log_softmax(dim=1)
        terms = self._weight * targets * log_p
        if self._gamma:
            # Away from 0, where a power below 1 is infinitely steep.
            terms = terms * (-torch.expm1(log_p)).clamp_min(1e-7) ** self._gamma
        return -terms.sum()
