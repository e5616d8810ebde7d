"""Class probabilities of the videos of a part."""

import numpy as np
import torch

from clipfold.models.device import Precision, is_out_of_memory
from clipfold.models.inputs import as_input, forward
from clipfold.models.network import ClipNetwork, class_logits
from clipfold.storage.files import Array
from clipfold.training.batches import BatchSource


@torch.inference_mode()
def predict(network: ClipNetwork, source: BatchSource, precision: Precision, micro: int) -> Array:
    """Predict every video of a part, in its order, without its copies.

    Args:
        network: with the weights to predict with.
        source: of the part.
        precision: of the forward passes.
        micro: clips per forward pass; halved where memory runs out.

    Returns:
        float32 (videos, classes); rows sum to 1.

    Raises:
        torch.OutOfMemoryError: not even one clip fits.
    """
    network.eval()
    while True:
        try:
            return _predict(network, source, precision, micro)
        except (RuntimeError, MemoryError) as error:
            if micro == 1 or not is_out_of_memory(error):
                raise
        micro //= 2


def _predict(network: ClipNetwork, source: BatchSource, precision: Precision, micro: int) -> Array:
    videos = np.arange(len(source.ids))
    steps = [(part, np.zeros_like(part)) for part in (videos[i : i + micro] for i in range(0, len(videos), micro))]
    probabilities = []
    for batch in source.batches(steps):
        with precision.autocast():
            logits = forward(network, as_input(network, batch.clips), batch.boxes)
        probabilities.append(class_logits(logits.float()).softmax(dim=1))
    return torch.cat(probabilities).cpu().numpy()
