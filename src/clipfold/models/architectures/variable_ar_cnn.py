"""A 3-D CNN of inception blocks for clips of any aspect ratio: the black around a clip's content changes no output."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clipfold.models.network import ClipNetwork, outputs


class VariableARCNN(ClipNetwork):
    """Inception blocks (Szegedy et al. 2015, over time as well: Carreira & Zisserman 2017) that see only the content.

    Content is moved to the top left corner, so that strides fall on the same of its pixels wherever it was; all else is
    kept at zero, which is what a convolution pads with and, after ReLU, what a maximum ignores. Statistics and means
    are those of the content. So a clip has the logits that it would have if cut out, and batches mix aspect ratios.

    Args:
        classes: number of classes.
        width: channels of the stem; the three blocks put out 4, 8 and 16 times as many.
        dropout: probability, before the last layer.
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
        """Map clips and where their content is to logits, see `ClipNetwork`."""
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
        clips: float (batch, channels, frames, height, width).
        boxes: int64 (batch, 4): top, left, height, width of the contents.

    Returns:
        The moved clips, and float (batch, 1, 1, height, width): 1 on the content, 0 elsewhere.
    """
    top, left, height, width = boxes[:, :, None].unbind(dim=1)
    rows, columns = (torch.arange(edge, device=clips.device) for edge in clips.shape[-2:])
    content = ((rows < height)[:, :, None] & (columns < width)[:, None, :])[:, None, None]
    clips = clips.take_along_dim(((rows + top) % len(rows))[:, None, None, :, None], dim=3)
    clips = clips.take_along_dim(((columns + left) % len(columns))[:, None, None, None, :], dim=4)
    return clips.where(content, 0.0), content.to(clips.dtype)


class _Inception(nn.Module):
    """Four ways of looking at the same place, side by side, of `width` channels each."""

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
    """Convolution, batch normalisation and ReLU; zero outside of the content."""

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
    """Batch normalisation (Ioffe & Szegedy 2015) whose statistics are of the content alone."""

    def forward(self, x: Tensor, content: Tensor) -> Tensor:  # type: ignore[override]  # takes a mask besides
        """Normalise.

        Args:
            x: float (batch, channels, frames, height, width).
            content: float (batch, 1, 1, height, width), 1 on the content, 0 elsewhere.

        Returns:
            Of the shape of `x`, 0 outside of the content.
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
        """Mean and variance of each channel; the running ones move towards them."""
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
    """Make the network, with random weights."""
    return VariableARCNN(classes, settings["width"], settings["dropout"])
