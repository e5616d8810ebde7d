"""The sizes of frames that clipfold's own encoders accept. Standard library only: every start reads it."""

from clipfold.checks import require

PATCH = 16
"""Edge in pixels of a ViT's patches."""

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
