"""The networks that embed a clip as a whole. Standard library only: every start reads it."""

from collections.abc import Mapping
from typing import Any

CLIP_NETWORKS: Mapping[str, tuple[str, str]] = {
    "slowfast_small": ("slowfast", "small"),
    "slowfast_r50_8x8": ("slowfast", "r50_8x8"),
    "x3d_xs": ("x3d", "xs"),
    "x3d_s": ("x3d", "s"),
    "x3d_m": ("x3d", "m"),
    "r3d_18": ("r3d_18", ""),
    "mvit_v2_s": ("mvit_v2_s", ""),
    "swin3d_t": ("swin3d_t", ""),
}
"""Networks that embed a clip as a whole -> their architecture and its variant."""
CLIP_GMAC: Mapping[str, float] = {
    "slowfast_small": 1.15,
    "slowfast_r50_8x8": 6.6,
    "x3d_xs": 7.3,
    "x3d_s": 7.3,
    "x3d_m": 7.3,
    "r3d_18": 40.7,
    "mvit_v2_s": 21.5,
    "swin3d_t": 18.0,
}
"""Their multiply-adds in 1e9 for 16 frames of 112 pixels, see `Architecture.gmac`."""
HUB_NETWORKS: Mapping[str, float] = {
    "transformers/videomae": 180.0,
    "transformers/timesformer": 196.0,
    "transformers/vjepa2": 820.0,
}
"""Those of transformers -> multiply-adds in 1e9 for the clip that their base model (vjepa2: large) takes, 16 frames."""


def sees_clips(encoder: str) -> bool:
    """Tell whether an encoder embeds a clip as a whole."""
    return encoder in CLIP_NETWORKS or encoder in HUB_NETWORKS


def modules_of(settings: Mapping[str, Any]) -> list[str]:
    """List the modules that an encoder loads by name, which fingerprints of code must know of.

    >>> modules_of({"encoder": "x3d_m"}), modules_of({"encoder": "resnet18"})
    (['clipfold.models.architectures.x3d'], [])
    """
    if settings["encoder"] in HUB_NETWORKS:
        return ["clipfold.models.hub_encoder"]
    known = CLIP_NETWORKS.get(settings["encoder"])
    return [f"clipfold.models.architectures.{known[0]}"] if known else []
