"""Building blocks of residual networks on clips (He et al. 2016, over space and time)."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from clipfold.models.network import outputs

Kernel = tuple[int, int, int]


class Residual(nn.Module):
    """ReLU of a branch plus a shortcut, float (batch, channels, frames, height, width) in and out.

    The branch starts at zero, so that training starts from the shortcuts alone (Goyal et al. 2017, section 5.1).

    Args:
        branch: Layers; the last is a batch normalisation.
        shortcut: Projects the input to the shape of the branch's output; the identity by default.
    """

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        assert isinstance(branch[-1], nn.BatchNorm3d)
        nn.init.zeros_(branch[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add and rectify."""
        return nn.functional.relu(self.shortcut(x) + self.branch(x))


def convolution(inputs: int, channels: int, kernel: Kernel, stride: int = 1, groups: int = 1) -> nn.Conv3d:
    """Build a convolution that keeps all frames, without bias because a batch normalisation follows.

    Args:
        inputs: Input channels.
        channels: Output channels.
        kernel: Frames, height, width; odd numbers.
        stride: Stride in space; it is 1 in time.
        groups: Groups of channels; as many as there are channels make it depthwise.
    """
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    made = nn.Conv3d(inputs, channels, kernel, (1, stride, stride), padding, groups=groups, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made


def projection(inputs: int, channels: int, stride: int, normalised: bool = True) -> nn.Sequential:
    """Build a shortcut between different shapes."""
    layers: dict[str, nn.Module] = {"conv": convolution(inputs, channels, (1, 1, 1), stride)}
    if normalised:
        layers["norm"] = nn.BatchNorm3d(channels)
    return sequence(**layers)


def sequence(**layers: nn.Module) -> nn.Sequential:
    """Chain layers by name."""
    return nn.Sequential(OrderedDict(layers))


def classifier(features: int, classes: int) -> nn.Linear:
    """Build the last layer, with small weights: the first predictions are near chance."""
    made = nn.Linear(features, outputs(classes))
    nn.init.normal_(made.weight, std=0.01)
    nn.init.zeros_(made.bias)
    return made


def published_name(key: str, parts: Sequence[tuple[str, str]]) -> str:
    """Translate a parameter's name in a file that PyTorchVideo published to the name in our network.

    Args:
        key: Name in the file; our own names stay as they are.
        parts: Pairs (theirs, ours) to replace, besides those that all their networks share.
    """
    shared = [
        (".res_blocks.", "."),
        (".branch1_conv.", ".shortcut.conv."),
        (".branch1_norm.", ".shortcut.norm."),
        (".branch2.", ".branch."),
    ]
    for theirs, ours in [*shared, *parts]:
        key = key.replace(theirs, ours)
    return key


class FramePool(nn.MaxPool3d):
    """The maximum over neighbouring pixels of each frame.

    On a GPU frames are pooled as pictures: the gradient of a maximum over frames and pixels is not deterministic there.

    Args:
        size: Edge of the square of pixels.
        stride: Step from one square to the next.
        padding: Pixels added at each edge, which no maximum is taken from.
    """

    def __init__(self, size: int, stride: int, padding: int) -> None:
        super().__init__((1, size, size), (1, stride, stride), (0, padding, padding))
        self._pooled = size, stride, padding

    def forward(self, clips: Tensor) -> Tensor:
        """Pool clips, float (batch, channels, frames, height, width)."""
        pooled: Tensor = self.as_pictures(clips) if clips.is_cuda else super().forward(clips)
        return pooled

    def as_pictures(self, clips: Tensor) -> Tensor:
        """Pool the frames one by one."""
        frames = clips.transpose(1, 2)
        pooled = nn.functional.max_pool2d(frames.flatten(0, 1), *self._pooled)
        return pooled.view(*frames.shape[:2], *pooled.shape[1:]).transpose(1, 2)
