"""SlowFast: one pathway with few frames and many channels, one with the reverse (Feichtenhofer et al. 2019)."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clipfold.models.network import ClipNetwork
from clipfold.models.residual import FramePool, Residual, classifier, convolution, projection, published_name, sequence
from clipfold.models.weights import find_weights, load_weights

_ALPHA = 4  # frames of the fast pathway per frame of the slow one
_BETA = 8  # channels of the slow pathway per channel of the fast one
_TEMPORAL = (
    1,
    1,
    3,
    3,
)  # frames that a block's first convolution spans in the slow pathway, by stage; 3 in the fast one

_PUBLISHED = (
    (".multipathway_blocks.0.", ".slow."),
    (".multipathway_blocks.1.", ".fast."),
    (".multipathway_fusion.norm.", ".lateral.norm."),
    (".multipathway_fusion.conv_fast_to_slow.", ".lateral.conv."),
    ("blocks.6.proj.", "head."),
)


class _Variant(NamedTuple):
    """A size of the network: channels of the slow stem, residual blocks per stage, published weights."""

    width: int
    depths: tuple[int, ...]
    url: str | None


_VARIANTS = {
    "r50_8x8": _Variant(
        64, (3, 4, 6, 3), "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOWFAST_8x8_R50.pyth"
    ),
    "small": _Variant(32, (1, 1, 1, 1), None),
}


class SlowFast(ClipNetwork):
    """SlowFast with bottleneck blocks; accepts any number of frames (the paper: 32, every second one) and any size.

    Args:
        classes: Number of classes.
        width: Channels of the slow pathway's stem; the stages have 4, 8, 16 and 32 times as many.
        depths: Residual blocks of each stage.
        dropout: Probability before the last layer.
    """

    def __init__(self, classes: int, width: int, depths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        channels = width
        blocks = [_TwoPathways(_stem(width, 1), _stem(width // _BETA, 5), _lateral(width // _BETA))]
        for i, depth in enumerate(depths):
            inner, stride = width * 2**i, 1 if i == 0 else 2
            slow = _stage(channels + 2 * channels // _BETA, inner, depth, _TEMPORAL[i], stride)
            fast = _stage(channels // _BETA, inner // _BETA, depth, 3, stride)
            channels = 4 * inner
            last = i == len(depths) - 1
            blocks.append(_TwoPathways(slow, fast, None if last else _lateral(channels // _BETA)))
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = classifier(channels + channels // _BETA, classes)

    def backbone(self) -> nn.Module:
        return self.blocks

    def stages(self) -> Iterator[nn.Module]:
        stem, *others = (block for block in self.blocks if isinstance(block, _TwoPathways))
        yield from (stem.slow, stem.fast)
        for block in others:
            yield from (*block.slow, *block.fast)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips to logits, see `ClipNetwork`."""
        # Frames 0, 4, 8, ... are the centres of the lateral connections' strides, for any number of frames.
        pathways = self.blocks((clips[:, :, ::_ALPHA], clips))
        features = torch.cat([pathway.mean(dim=(2, 3, 4)) for pathway in pathways], dim=1)
        logits: Tensor = self.head(self.dropout(features))
        return logits


class _TwoPathways(nn.Module):
    """A stage of both pathways, followed by a lateral connection from the fast to the slow one."""

    def __init__(self, slow: nn.Sequential, fast: nn.Sequential, lateral: nn.Sequential | None) -> None:
        super().__init__()
        self.slow, self.fast, self.lateral = slow, fast, lateral

    def forward(self, pathways: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        slow, fast = self.slow(pathways[0]), self.fast(pathways[1])
        if self.lateral is not None:
            slow = torch.cat([slow, self.lateral(fast)], dim=1)
        return slow, fast


def _stem(channels: int, frames: int) -> nn.Sequential:
    return sequence(
        conv=convolution(3, channels, (frames, 7, 7), stride=2),
        norm=nn.BatchNorm3d(channels),
        act=nn.ReLU(inplace=True),
        pool=FramePool(3, stride=2, padding=1),
    )


def _lateral(channels: int) -> nn.Sequential:
    """Connect the fast pathway to the slow one: `_ALPHA` times fewer frames, twice the channels."""
    conv = nn.Conv3d(channels, 2 * channels, (7, 1, 1), stride=(_ALPHA, 1, 1), padding=(3, 0, 0), bias=False)
    return sequence(conv=conv, norm=nn.BatchNorm3d(2 * channels), act=nn.ReLU(inplace=True))


def _stage(inputs: int, inner: int, depth: int, frames: int, stride: int) -> nn.Sequential:
    """Build residual blocks; the first changes size and channels."""
    channels = 4 * inner
    first = Residual(_branch(inputs, inner, frames, stride), projection(inputs, channels, stride))
    return nn.Sequential(first, *(Residual(_branch(channels, inner, frames, 1)) for _ in range(depth - 1)))


def _branch(inputs: int, inner: int, frames: int, stride: int) -> nn.Sequential:
    """Build a bottleneck; its first convolution spans `frames`, its second one space."""
    return sequence(
        conv_a=convolution(inputs, inner, (frames, 1, 1)),
        norm_a=nn.BatchNorm3d(inner),
        act_a=nn.ReLU(inplace=True),
        conv_b=convolution(inner, inner, (1, 3, 3), stride),
        norm_b=nn.BatchNorm3d(inner),
        act_b=nn.ReLU(inplace=True),
        conv_c=convolution(inner, 4 * inner, (1, 1, 1)),
        norm_c=nn.BatchNorm3d(4 * inner),
    )


def published(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the published weights, if there are any."""
    return _VARIANTS[settings["variant"]].url


def build(settings: Mapping[str, Any], classes: int) -> SlowFast:
    """Build the network, with random or pretrained weights."""
    variant = _VARIANTS[settings["variant"]]
    network = SlowFast(classes, variant.width, variant.depths, settings["dropout"])
    path = find_weights(settings["weights"], published(settings), settings["download"])
    if path:
        load_weights(network, path, rename=partial(published_name, parts=_PUBLISHED))
    return network
