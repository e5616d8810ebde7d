"""Predict the class probabilities of the videos in a split."""

import numpy as np
import torch

from clipfold.models.device import Precision, halving
from clipfold.models.inputs import class_probabilities
from clipfold.models.network import ClipNetwork
from clipfold.storage.files import Array
from clipfold.training.batches import BatchSource
from clipfold.training.distributed import Processes


@torch.inference_mode()
def predict(
    network: ClipNetwork, source: BatchSource, precision: Precision, micro: int, processes: Processes, views: int = 1
) -> Array:
    """Predict every video of a split, in order, without augmented copies; each process predicts its share.

    Of several clips of a video, the probabilities are averaged, as is usual (Wang et al. 2018, Non-local networks;
    Feichtenhofer et al. 2019, SlowFast).

    Args:
        network: The network with the weights to use.
        source: Videos of the split.
        precision: Precision of the forward passes.
        micro: Clips per forward pass; halved when memory runs out.
        processes: The processes that predict together.
        views: Views of each clip, see `class_probabilities`.

    Returns:
        float32 (videos, classes); rows sum to 1.

    Raises:
        torch.OutOfMemoryError: A single clip does not fit.
    """
    network.eval()
    videos = np.arange(len(source.ids))
    if processes.world == 1:
        return halving(lambda clips: _predict(network, source, videos, precision, clips, views), micro)
    share = videos[processes.share]
    some = share if len(share) else videos[:1]  # a process without a video learns the number of classes from one
    found = halving(lambda clips: _predict(network, source, some, precision, clips, views), micro)
    whole = torch.zeros(len(videos), found.shape[1])
    whole[share] = torch.from_numpy(found[: len(share)])
    return processes.all_reduce_sum(whole).numpy()


def _predict(
    network: ClipNetwork, source: BatchSource, videos: Array, precision: Precision, micro: int, views: int
) -> Array:
    each, versions = videos.repeat(source.clips), np.tile(np.arange(source.clips), len(videos))
    steps = [(each[i : i + micro], versions[i : i + micro]) for i in range(0, len(each), micro)]
    found = [class_probabilities(network, b.clips, b.boxes, precision, views) for b in source.batches(steps)]
    return torch.cat(found).view(len(videos), source.clips, -1).mean(dim=1).cpu().numpy()
