"""MViTv2-S (Li et al. 2022) from torchvision, for any number of frames and any size."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models.video import MViT, MViT_V2_S_Weights, mvit_v2_s

from clipfold.models.video_network import VideoNetwork
from clipfold.models.weights import find_weights, load_weights


class MViTv2S(VideoNetwork):
    """MViTv2-S; accepts only the number of frames and the size that it was built for."""

    mean = (0.45, 0.45, 0.45)  # Kinetics-400, as for the published weights
    std = (0.225, 0.225, 0.225)


def published(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the published weights, if there are any."""
    return str(MViT_V2_S_Weights.DEFAULT.url)


def build(settings: Mapping[str, Any], classes: int) -> MViTv2S:
    """Build the network, with random or Kinetics weights."""
    encoder = mvit_v2_s()
    path = find_weights(settings["weights"], published(settings), settings["download"])
    if path:
        load_weights(encoder, path)
    encoder.head = nn.Identity()
    _fit(encoder, settings["frames"], settings["size"])
    return MViTv2S(encoder, encoder.blocks, 768, classes, settings["dropout"])


def _fit(network: MViT, frames: int, size: int) -> None:
    """Adapt a network for 16 frames of 224 pixels to other numbers.

    torchvision interpolates relative positions of another size in every forward pass, which is slower and, on GPUs, not
    deterministic. Here it is done once.
    """
    frames, size = (
        -(-frames // 2),
        -(-size // 4),
    )  # tokens: pixels over the patches' stride, rounded up because of their padding
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
    """Interpolate a table of (length, channels) as torchvision does."""
    rows = nn.functional.interpolate(table.detach().T[None], size=length, mode="linear")
    return nn.Parameter(rows[0].T.contiguous())
