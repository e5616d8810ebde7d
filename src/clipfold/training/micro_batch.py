"""Choose how many clips go through the network at once."""

import copy
import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from clipfold.models.device import Precision, is_out_of_memory
from clipfold.models.network import ClipNetwork
from clipfold.training import transforms
from clipfold.training.batches import BatchSource
from clipfold.training.distributed import Processes
from clipfold.training.losses import Loss
from clipfold.training.memory import largest_that_fits
from clipfold.training.optimisation import freeze, make_optimizer
from clipfold.training.train_step import TrainStep

logger = logging.getLogger(__name__)

_ON_CPU = 8


def choose_micro_batch(network: ClipNetwork, settings: Mapping[str, Any], train: BatchSource, classes: int) -> int:
    """Choose `batch_size`; if it is `auto`, the most clips of one step that fit into GPU memory.

    Each size is tried with a real step on a clone of the network. On a CPU the choice is 8, because a host that runs
    out of memory kills the job without an error to catch.
    """
    if settings["batch_size"] != "auto":
        return int(settings["batch_size"])
    most = int(min(settings["accumulate"], len(train.ids)))
    if train.device.type == "cpu":
        logger.warning("batch_size auto needs a GPU: using %d clips at once", min(_ON_CPU, most))
        return min(_ON_CPU, most)
    found = largest_that_fits(lambda clips: fits(network, settings, train, classes, clips), most)
    if found:  # 16 and 16, not 31 and 1
        found = math.ceil(most / math.ceil(most / found))
    logger.info("batch_size auto: %d clips at once", max(1, found))
    return max(1, found)  # if a single clip does not fit, the first step raises an error with a remedy


def fits(network: ClipNetwork, settings: Mapping[str, Any], train: BatchSource, classes: int, clips: int) -> bool:
    """Try whether a step with this many clips at once fits into memory."""
    try:
        trial = copy.deepcopy(network).train()
        freeze(trial, settings, settings.get("unfreeze_at", 0))
        optimizer = make_optimizer(trial, settings, train.device)
        loss = Loss(settings, train.targets, classes, train.device)
        precision = Precision(settings["precision"], train.device)
        train_step = TrainStep(trial, optimizer, loss, precision, settings, Processes(), train.device, clips)
        videos = np.arange(clips)
        batch = next(iter(train.batches([(videos, np.zeros_like(videos))])))
        augmented = transforms.wanted(settings) and train.shows_pixels
        drawn = next(transforms.draw_ahead(settings, [clips], [0], train.device)) if augmented else None
        enough = train_step.attempt(batch, clips, 0, 0, drawn)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        enough = False
    if train.device.type == "cuda":
        torch.cuda.empty_cache()
    return enough
