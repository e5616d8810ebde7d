"""X3D: a 2-D network expanded axis by axis for the best accuracy per operation (Feichtenhofer 2020)."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from clipfold.models.network import ClipNetwork
from clipfold.models.residual import Residual, classifier, convolution, projection, published_name, sequence
from clipfold.models.weights import find_weights, load_weights

# XS, S and M are one network for clips of 4 frames x 160 pixels, 13 x 160 and 16 x 224; only the weights differ.
_URL = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/X3D_{}.pyth"
_WIDTHS = (24, 48, 96, 192)
_DEPTHS = (3, 5, 11, 7)
_FEATURES = 2048

_PUBLISHED = (
    ("blocks.0.conv.conv_t.", "blocks.0.spatial."),  # their names for these two are swapped
    ("blocks.0.conv.conv_xy.", "blocks.0.temporal."),
    (".norm_b.0.", ".norm_b."),
    (".norm_b.1.", ".excite."),
    ("blocks.5.pool.", "blocks.5."),
    ("blocks.5.proj.", "head."),
)


class X3D(ClipNetwork):
    """X3D of the sizes XS, S and M; accepts any number of frames and any size.

    Args:
        classes: Number of classes.
        dropout: Probability before the last layer.
    """

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        stem = sequence(
            spatial=convolution(3, _WIDTHS[0], (1, 3, 3), stride=2),
            temporal=convolution(_WIDTHS[0], _WIDTHS[0], (5, 1, 1), groups=_WIDTHS[0]),
            norm=nn.BatchNorm3d(_WIDTHS[0]),
            act=nn.ReLU(inplace=True),
        )
        inputs = (_WIDTHS[0], *_WIDTHS[:-1])
        stages = [_stage(*sizes) for sizes in zip(inputs, _WIDTHS, _DEPTHS, strict=True)]
        inner = _expanded(_WIDTHS[-1])
        features = sequence(
            pre_conv=convolution(_WIDTHS[-1], inner, (1, 1, 1)),
            pre_norm=nn.BatchNorm3d(inner),
            pre_act=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool3d(1),
            post_conv=convolution(inner, _FEATURES, (1, 1, 1)),
            post_act=nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(stem, *stages, features)
        self.dropout = nn.Dropout(dropout)
        self.head = classifier(_FEATURES, classes)

    def backbone(self) -> nn.Module:
        return self.blocks

    def stages(self) -> Iterator[nn.Module]:
        yield self.blocks[0]
        for stage in self.blocks[1:-1]:
            yield from stage.children()

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips to logits, see `ClipNetwork`."""
        logits: Tensor = self.head(self.dropout(self.blocks(clips).flatten(1)))
        return logits


class _SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018): weighs channels by the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = _round8(channels / 16)
        self.block = nn.Sequential(
            nn.Conv3d(channels, reduced, 1), nn.ReLU(), nn.Conv3d(reduced, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh, keeping the shape."""
        weights: Tensor = self.block(x.mean(dim=(2, 3, 4), keepdim=True))
        return x * weights


def _stage(inputs: int, channels: int, depth: int) -> nn.Sequential:
    """Build residual blocks; the first halves height and width, every other one has squeeze-and-excitation."""
    blocks = [_block(inputs, channels, stride=2, excite=True)]
    blocks += [_block(channels, channels, stride=1, excite=i % 2 == 0) for i in range(1, depth)]
    return nn.Sequential(*blocks)


def _block(inputs: int, channels: int, stride: int, excite: bool) -> Residual:
    inner = _expanded(channels)
    branch = sequence(
        conv_a=convolution(inputs, inner, (1, 1, 1)),
        norm_a=nn.BatchNorm3d(inner),
        act_a=nn.ReLU(inplace=True),
        conv_b=convolution(inner, inner, (3, 3, 3), stride, groups=inner),
        norm_b=nn.BatchNorm3d(inner),
        excite=_SqueezeExcitation(inner) if excite else nn.Identity(),
        act_b=nn.SiLU(),
        conv_c=convolution(inner, channels, (1, 1, 1)),
        norm_c=nn.BatchNorm3d(channels),
    )
    if stride == 1:
        return Residual(branch)
    # As published, the shortcut of the first stage has no normalisation: it keeps the number of channels.
    return Residual(branch, projection(inputs, channels, stride, normalised=inputs != channels))


def _expanded(channels: int) -> int:
    """Return the number of channels inside a block."""
    return int(2.25 * channels)


def _round8(width: float) -> int:
    """Round to a multiple of 8, at least 8: the nearest, or the next if the nearest is below 90 % of the width.

    >>> [_round8(channels / 16) for channels in (54, 216, 432)]
    [8, 16, 32]
    """
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


def published(settings: Mapping[str, Any]) -> str | None:
    """Return the address of the published weights, if there are any."""
    return _URL.format(settings["variant"].upper())


def build(settings: Mapping[str, Any], classes: int) -> X3D:
    """Build the network, with random or pretrained weights."""
    network = X3D(classes, settings["dropout"])
    path = find_weights(settings["weights"], published(settings), settings["download"])
    if path:
        load_weights(network, path, rename=partial(published_name, parts=_PUBLISHED))
    return network
