"""What every network on clips is to the engine that trains it."""

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

Colour = tuple[float, float, float]


class ClipNetwork(nn.Module):
    """Maps clips to logits. Subclasses define `forward`, and may say more about themselves.

    Args (of `forward`):
        clips: float (batch, 3, frames, height, width), `(value / 255 - mean) / std`.

    Returns (of `forward`):
        Logits, float (batch, outputs); for two classes one output, that of the second class.

    Attributes:
        mean: of each colour channel, subtracted from values in [0, 1] (what pre-trained weights were trained with).
        std: of each colour channel, what the difference is divided by.
        takes_boxes: whether `forward` takes a second argument, int64 (batch, 4): top, left, height and width in pixels
            of each clip's content, outside of which there is only black padding.
    """

    mean: ClassVar[Colour] = (0.45, 0.45, 0.45)
    std: ClassVar[Colour] = (0.225, 0.225, 0.225)
    takes_boxes: ClassVar[bool] = False

    def backbone(self) -> nn.Module | None:
        """The part that pre-trained weights fill, and that `freeze` and `backbone_rate` are about, if there is one."""
        return None

    def stages(self) -> Iterator[nn.Module]:
        """Parts called one after the other, whose activations may be computed again instead of kept (checkpointing)."""
        return iter(())


def outputs(classes: int) -> int:
    """Number of logits: one decides between two classes.

    >>> outputs(2), outputs(5)
    (1, 5)
    """
    return 1 if classes == 2 else classes


def class_logits(logits: Tensor) -> Tensor:
    """Logits of every class: a lone one is that of the second of two classes, against 0."""
    return nn.functional.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits
