"""The sizes of frames and of embeddings of clipfold's own encoders. Standard library only: every start reads it."""

from clipfold.checks import require

PATCH = 16
"""Edge in pixels of a ViT's patches."""

WIDTHS = {
    "vit_micro": 192,
    "vit_tiny": 192,
    "vit_small": 384,
    "vit_b_16": 768,
    "vgg19": 512,
    "resnet18": 512,
    "mobilenet_v3_small": 576,
    "mobilenet_v3_large": 960,
}
"""Name -> values of an embedding."""

_HALVINGS = 5  # of vgg19


def check_size(where: str, encoder: str, size: int) -> None:
    """Check the edge of the frames for an encoder. Networks of libraries resize frames to their own size.

    Args:
        where: The setting, for messages.
        encoder: Name of the network.
        size: Edge in pixels.

    Raises:
        ValueError: The encoder does not accept it; the message names the nearest sizes that it does.
    """
    if encoder.startswith("vit_"):
        below = size // PATCH * PATCH
        nearest = f"{below} or {below + PATCH}" if below else str(PATCH)
        require(
            size % PATCH == 0, where, size, f"use a multiple of {PATCH}, the patches of {encoder}, such as {nearest}"
        )
    if encoder == "vgg19":
        require(size >= 2**_HALVINGS, where, size, f"use {2**_HALVINGS} or more: vgg19 halves it {_HALVINGS} times")


def check_heads(where: str, heads: int, width: int) -> None:
    """Check the attention heads of a transformer on embeddings of a width.

    Raises:
        ValueError: They do not divide it; the message names those that do.
    """
    divisors = [count for count in range(1, width + 1) if width % count == 0]
    nearest = ", ".join(map(str, sorted(sorted(divisors, key=lambda count: abs(count - heads))[:3])))
    require(heads in divisors, where, heads, f"use a divisor of the encoder's width, {width}, such as {nearest}")
