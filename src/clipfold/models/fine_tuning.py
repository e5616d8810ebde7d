"""Parts of a frozen encoder that learn all the same: its last blocks, or changes of low rank to its attention."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from clipfold.checks import require
from clipfold.models.frame_encoder import FrameEncoder

_LISTS = (nn.Sequential, nn.ModuleList)  # not what inherits from them: that is a layer


def blocks_of(module: nn.Module, listed: bool = False) -> Iterator[nn.Module]:
    """Yield the blocks of a network, in the order in which they compute: the layers that its lists of layers hold.

    Args:
        module: A network of timm or torchvision, or a part of one.
        listed: Whether the module is a list of layers.
    """
    for child in module.children():
        inner: Any = getattr(child, "blocks", None)  # of a stage in timm
        if type(child) in _LISTS or not listed:
            yield from blocks_of(child, type(child) in _LISTS)
        elif type(inner) in _LISTS:
            yield from blocks_of(inner, True)
        elif next(child.parameters(), None) is not None:
            yield child


def unfrozen_parts(encoder: FrameEncoder, blocks: int, rank: int) -> list[nn.Module]:
    """Choose the parts of an encoder that learn while the rest is frozen, and add changes of low rank to it.

    Args:
        encoder: The encoder, with its weights; changed in place if `rank` is above 0.
        blocks: Number of last blocks; what follows the last one learns, too.
        rank: Rank of the change to each matrix of its attention; 0: none.

    Raises:
        ValueError: It has fewer blocks, or no attention.
    """
    parts: list[nn.Module] = []
    if blocks:
        stages, modules = list(encoder.stages()), list(encoder.modules())
        require(blocks <= len(stages), "unfreeze_blocks", blocks, f"the encoder has {len(stages)}: use that or fewer")
        parts += modules[next(i for i, module in enumerate(modules) if module is stages[-blocks]) :]
    if rank:
        matrices = list(_attention(encoder))
        require(bool(matrices), "lora_rank", rank, "the encoder has no attention: use unfreeze_blocks")
        parts += (_change(owner, name, rank) for owner, name in matrices)
    return parts


def _attention(network: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield the matrices of the linear layers of attention, each as its module and its name there."""
    for module in network.modules():
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            yield module, "in_proj_weight"
        if any(sign in type(module).__name__.lower() for sign in ("attention", "attn")):
            yield from ((child, "weight") for child in module.children() if isinstance(child, nn.Linear))


class LowRank(nn.Module):
    """A change of low rank to a matrix, W + B A (LoRA, Hu et al. 2021, with alpha = rank); none at first, as B is 0.

    Args:
        weight: The matrix W.
        rank: Rank of the change.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(rank, weight.shape[1]), a=5**0.5))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a


def _change(owner: nn.Module, name: str, rank: int) -> LowRank:
    change = LowRank(owner.get_parameter(name), rank)
    parametrize.register_parametrization(owner, name, change)
    return change
