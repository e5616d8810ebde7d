"""MViTv2, small (Li et al. 2022), as in torchvision, for any number of frames and any size."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models.video import MViT, MViT_V2_S_Weights, mvit_v2_s

from clipfold.models.video_network import VideoNetwork
from clipfold.models.weights import find_weights, load_weights


class MViTv2S(VideoNetwork):
    """Takes clips of the frames and size that it was built for."""

    mean = (0.45, 0.45, 0.45)  # of Kinetics-400, as for the published weights
    std = (0.225, 0.225, 0.225)


def build(settings: Mapping[str, Any], classes: int) -> MViTv2S:
    """Make the network, with random or Kinetics weights."""
    encoder = mvit_v2_s()
    path = find_weights(settings["weights"], MViT_V2_S_Weights.DEFAULT.url, settings["download"])
    if path:
        load_weights(encoder, path)
    encoder.head = nn.Identity()
    _fit(encoder, settings["frames"], settings["size"])
    return MViTv2S(encoder, encoder.blocks, 768, classes, settings["dropout"])


def _fit(network: MViT, frames: int, size: int) -> None:
    """Make a network for 16 frames of 224 pixels one for others.

    torchvision interpolates the relative positions in each forward where they do not fit, which is slower and, on
    graphics processors, not deterministic. Here it is done once.
    """
    frames, size = -(-frames // 2), -(-size // 4)  # tokens: the stride of the patches, rounded up as by their padding
    network.pos_encoding.temporal_size, network.pos_encoding.spatial_size = frames, (size, size)
    for block in network.blocks:
        attention = block.attn
        queries, keys = (-(-size // pool.pool.stride[1]) for pool in (attention.pool_q, attention.pool_k))
        distances = 2 * max(queries, keys) - 1
        attention.rel_pos_h = _resized(attention.rel_pos_h, distances)
        attention.rel_pos_w = _resized(attention.rel_pos_w, distances)
        attention.rel_pos_t = _resized(attention.rel_pos_t, 2 * frames - 1)
        size = queries


def _resized(table: Tensor, length: int) -> nn.Parameter:
    """A table of (length, channels), interpolated as torchvision does it."""
    rows = nn.functional.interpolate(table.detach().T[None], size=length, mode="linear")
    return nn.Parameter(rows[0].T.contiguous())
