"""Everything that a trainer works with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipfold.models.network import ClipNetwork
from clipfold.training.batches import BatchSource
from clipfold.training.checkpoint import Checkpoint
from clipfold.training.distributed import Processes
from clipfold.training.recorder import Recorder
from clipfold.training.signals import StopRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan:
    """The network, the data and the surroundings of one training.

    Args:
        network: The network to train, on its device.
        settings: Settings of the model.
        train: Videos to learn from.
        val: Videos to choose the epoch by.
        classes: Number of classes.
        seed: Seed for the order of videos and for everything random within a step.
        micro: Clips per forward pass at the start; halved when memory runs out.
        recorder: Keeps history and log.
        checkpoint: Where the state is saved.
        stop: Set when the job is asked to end.
        processes: The processes that train together.
    """

    network: ClipNetwork
    settings: Mapping[str, Any]
    train: BatchSource
    val: BatchSource
    classes: int
    seed: int
    micro: int
    recorder: Recorder
    checkpoint: Checkpoint
    stop: StopRequest
    processes: Processes
