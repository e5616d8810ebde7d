"""The interface between networks on clips and the training engine."""

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

Colour = tuple[float, float, float]


class ClipNetwork(nn.Module):
    """A network that maps clips to logits. Subclasses define `forward` and may override the rest.

    Args (of `forward`):
        clips: Float (batch, 3, frames, height, width), `(value / 255 - mean) / std`.

    Returns (of `forward`):
        Logits, float (batch, outputs); for two classes one output, that of the second class.

    Attributes:
        mean: Mean of each colour channel, subtracted from values in [0, 1]; the one that pretrained weights expect.
        std: Standard deviation of each colour channel, by which the difference is divided.
        takes_boxes: True if `forward` takes a second argument, int64 (batch, 4): top, left, height and width in pixels
            of each clip's content; the rest is black padding.
        channels_last: Whether clips come in the layout in which they are stored, each pixel's colours side by side.
    """

    mean: Colour = (0.45, 0.45, 0.45)
    std: Colour = (0.225, 0.225, 0.225)
    takes_boxes: ClassVar[bool] = False
    channels_last: bool = True

    def backbone(self) -> nn.Module | None:
        """Return the module that pretrained weights fill and that `freeze` and `backbone_rate` affect, if any."""
        return None

    def unfrozen(self) -> Iterator[nn.Module]:
        """Yield the parts of the backbone that learn even while it is frozen."""
        return iter(())

    def stages(self) -> Iterator[nn.Module]:
        """Yield the modules, in calling order, whose activations checkpointing may recompute instead of keeping."""
        return iter(())


def set_frozen(network: ClipNetwork, frozen: bool) -> None:
    """Freeze the backbone, if there is one, but for its `unfrozen` parts, or unfreeze it.

    What is frozen keeps its weights and running statistics.
    """
    backbone = network.backbone()
    if backbone is not None:
        for part in (backbone, *network.unfrozen()):
            learns = part is not backbone or not frozen
            part.requires_grad_(learns)
            part.train(network.training and learns)


def outputs(classes: int) -> int:
    """Return the number of logits: a single one for two classes.

    >>> outputs(2), outputs(5)
    (1, 5)
    """
    return 1 if classes == 2 else classes


def class_logits(logits: Tensor) -> Tensor:
    """Return the logits of every class: a single one belongs to the second of two classes, against 0."""
    return nn.functional.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits
