"""A 3-D CNN of inception blocks for clips of any aspect ratio: padding does not change the output."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clipfold.models.network import ClipNetwork, outputs


class VariableARCNN(ClipNetwork):
    """Inception blocks (Szegedy et al. 2015; over time, Carreira & Zisserman 2017) that see only a clip's content.

    Content is moved to the top left corner, so that strides fall on the same pixels wherever it was. The rest stays
    zero: convolutions pad with zeros and, after ReLU, a maximum ignores them. Statistics and means cover the content
    alone. A clip thus has the same logits as its cropped content, and a batch can mix aspect ratios.

    Args:
        classes: Number of classes.
        width: Channels of the stem; the three blocks return 4, 8 and 16 times as many.
        dropout: Probability before the last layer.
    """

    takes_boxes: ClassVar[bool] = True

    def __init__(self, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = _Unit(3, width, (3, 3, 3), stride=(1, 2, 2))
        self.blocks = nn.ModuleList(
            [_Inception(width, width), _Inception(4 * width, 2 * width), _Inception(8 * width, 4 * width)]
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(16 * width, outputs(classes)))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # He et al. 2015

    def stages(self) -> Iterator[nn.Module]:
        yield self.stem
        yield from self.blocks

    def forward(self, clips: Tensor, boxes: Tensor) -> Tensor:
        """Map clips and the boxes of their content to logits, see `ClipNetwork`."""
        x, content = to_corner(clips, boxes)
        content = content[..., ::2, ::2]
        x = self.stem(x, content)
        for block in self.blocks:
            x = nn.functional.max_pool3d(x, 3, stride=2, padding=1)
            content = content[..., ::2, ::2]
            x = block(x, content)
        logits: Tensor = self.head(x.sum(dim=(2, 3, 4)) / (content.sum(dim=(2, 3, 4)) * x.shape[2]))
        return logits


def to_corner(clips: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Move each clip's content to the top left corner, with zeros around it.

    Args:
        clips: Float (batch, channels, frames, height, width).
        boxes: Int64 (batch, 4): top, left, height and width of each content.

    Returns:
        The moved clips, and a mask, float (batch, 1, 1, height, width): 1 on the content, 0 elsewhere.
    """
    top, left, height, width = boxes[:, :, None].unbind(dim=1)
    rows, columns = (torch.arange(edge, device=clips.device) for edge in clips.shape[-2:])
    content = ((rows < height)[:, :, None] & (columns < width)[:, None, :])[:, None, None]
    # Not `take_along_dim`, which would fix the number of clips in an exported network.
    clips = clips.gather(3, ((rows + top) % len(rows))[:, None, None, :, None].expand_as(clips))
    clips = clips.gather(4, ((columns + left) % len(columns))[:, None, None, None, :].expand_as(clips))
    return clips.where(content, 0.0), content.to(clips.dtype)


class _Inception(nn.Module):
    """Four parallel branches of `width` channels each."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.point = _Unit(inputs, width, (1, 1, 1))
        self.cube = nn.ModuleList([_Unit(inputs, width, (1, 1, 1)), _Unit(width, width, (3, 3, 3))])
        self.factorised = nn.ModuleList(
            [_Unit(inputs, width, (1, 1, 1)), _Unit(width, width, (1, 3, 3)), _Unit(width, width, (3, 1, 1))]
        )
        self.pooled = _Unit(inputs, width, (1, 1, 1))

    def forward(self, x: Tensor, content: Tensor) -> Tensor:
        cube = factorised = x
        for unit in self.cube:
            cube = unit(cube, content)
        for unit in self.factorised:
            factorised = unit(factorised, content)
        pooled = self.pooled(nn.functional.max_pool3d(x, 3, stride=1, padding=1), content)
        return torch.cat([self.point(x, content), cube, factorised, pooled], dim=1)


class _Unit(nn.Module):
    """Convolution, batch normalisation and ReLU; zero outside the content."""

    def __init__(
        self, inputs: int, width: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.convolution = nn.Conv3d(inputs, width, kernel, stride, padding, bias=False)
        self.norm = MaskedBatchNorm3d(width)

    def forward(self, x: Tensor, content: Tensor) -> Tensor:
        unit: Tensor = self.norm(self.convolution(x), content).relu()
        return unit


class MaskedBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation (Ioffe & Szegedy 2015) with statistics of the content alone."""

    def forward(self, x: Tensor, content: Tensor) -> Tensor:  # type: ignore[override]  # also takes a mask
        """Normalise.

        Args:
            x: Float (batch, channels, frames, height, width).
            content: Float (batch, 1, 1, height, width), 1 on the content, 0 elsewhere.

        Returns:
            Float, shaped as `x`; 0 outside the content.
        """
        mean, variance = self.running_mean, self.running_var
        assert mean is not None
        assert variance is not None
        if self.training:
            mean, variance = self._statistics(x.to(mean.dtype), content)  # sums would overflow in half precision
        scale = (variance + self.eps).rsqrt() * self.weight
        shift = self.bias - mean * scale
        return ((x * _channels(scale) + _channels(shift)) * content).to(x.dtype)

    def _statistics(self, x: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the mean and variance of each channel and update the running statistics."""
        count = content.sum() * x.shape[2]
        mean = (x * content).sum(dim=(0, 2, 3, 4)) / count
        variance = ((x - _channels(mean)) * content).square().sum(dim=(0, 2, 3, 4)) / count
        unbiased = variance * (count / (count - 1).clamp(min=1))
        for running, value in ((self.running_mean, mean), (self.running_var, unbiased)):
            assert running is not None
            running.lerp_(value.detach(), self.momentum or 0.0)
        return mean, variance


def _channels(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def build(settings: Mapping[str, Any], classes: int) -> VariableARCNN:
    """Build the network, with random weights."""
    return VariableARCNN(classes, settings["width"], settings["dropout"])
