"""Predict the class probabilities of the videos in a split."""

import numpy as np
import torch

from clipfold.models.device import Precision, halving
from clipfold.models.inputs import class_probabilities
from clipfold.models.network import ClipNetwork
from clipfold.storage.files import Array
from clipfold.training.batches import BatchSource


@torch.inference_mode()
def predict(network: ClipNetwork, source: BatchSource, precision: Precision, micro: int) -> Array:
    """Predict every video of a split, in order, without augmented copies.

    Args:
        network: The network with the weights to use.
        source: Videos of the split.
        precision: Precision of the forward passes.
        micro: Clips per forward pass; halved when memory runs out.

    Returns:
        float32 (videos, classes); rows sum to 1.

    Raises:
        torch.OutOfMemoryError: A single clip does not fit.
    """
    network.eval()
    return halving(lambda clips: _predict(network, source, precision, clips), micro)


def _predict(network: ClipNetwork, source: BatchSource, precision: Precision, micro: int) -> Array:
    videos = np.arange(len(source.ids))
    steps = [(some, np.zeros_like(some)) for some in (videos[i : i + micro] for i in range(0, len(videos), micro))]
    found = [class_probabilities(network, b.clips, b.boxes, precision) for b in source.batches(steps)]
    return torch.cat(found).cpu().numpy()
