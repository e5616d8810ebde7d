"""Losses on logits against soft targets, with one formula for two and for more classes."""

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
    """Cross-entropy or focal loss, summed over clips, with class weights and label smoothing.

    Args:
        settings: `loss`, `focal_gamma`, `focal_alpha`, `label_smoothing`, `class_weight`, `sampler`.
        targets: Class indices of the training videos, int64 (videos,), over which class weights are balanced.
        classes: Number of classes.
        device: Device of the logits.
    """

    def __init__(self, settings: Mapping[str, Any], targets: Array, classes: int, device: torch.device) -> None:
        self._classes = classes
        self._smoothing = settings["label_smoothing"]
        self._gamma = settings["focal_gamma"] if settings["loss"] == "focal" else 0.0
        alpha = settings["focal_alpha"]
        if settings["loss"] == "focal" and classes != 2 and alpha >= 0:
            logger.warning("focal_alpha is for two classes: ignored with %d classes, class_weight applies", classes)
        if settings["loss"] == "focal" and classes == 2 and alpha >= 0:
            weight = np.array([1 - alpha, alpha])
        elif (
            settings["class_weight"] == "balanced" and settings["sampler"] != "balanced"
        ):  # the sampler balances already
            weight = len(targets) / (classes * np.bincount(targets, minlength=classes).clip(1))
        else:
            weight = np.ones(classes)
        self._weight = torch.tensor(weight, dtype=torch.float32, device=device)

    def soft(self, targets: Tensor) -> Tensor:
        """Smooth class indices, int64 (batch,), to probabilities, float32 (batch, classes) (Szegedy et al. 2016)."""
        hot = nn.functional.one_hot(targets, self._classes).float()
        smooth: Tensor = hot * (1 - self._smoothing) + self._smoothing / self._classes
        return smooth

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum the loss over the batch.

        Args:
            logits: float (batch, outputs).
            targets: Probabilities, float32 (batch, classes).

        Returns:
            A scalar; with `focal_gamma` above 0, each term is multiplied by (1 - p)**gamma (Lin et al. 2017).
        """
        log_p = class_logits(logits.float()).log_softmax(dim=1)
        terms = self._weight * targets * log_p
        if self._gamma:
            # Kept away from 0, where the gradient of a power below 1 is infinite.
            terms = terms * (-torch.expm1(log_p)).clamp_min(1e-7) ** self._gamma
        return -terms.sum()
