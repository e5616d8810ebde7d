"""Fit the settings of models to images: one frame, without motion. Standard library only: every start reads it."""

from collections.abc import Sequence
from typing import Any

from clipfold.checks import require
from clipfold.features.registry import GROUPS
from clipfold.models.architecture import Architecture
from clipfold.models.named_encoders import embedding_groups

Settings = dict[str, Any]


def for_images(name: str, known: Architecture, given: Settings, fitting: Sequence[str]) -> Settings:
    """Complete the settings that an entry of `models:` gives by those that images need.

    Args:
        name: Name of the model.
        known: Its architecture.
        given: Its settings in the config.
        fitting: Architectures that fit images.

    Raises:
        ValueError: The architecture, or a feature group that is asked for, needs motion.
    """
    remedy = f"it learns from motion, and an image has none: use {', '.join(fitting)}"
    require(not known.moving, f"models: {name}: architecture", known.name, remedy)
    if known.input == "clips":
        one = "use 1, or leave it out: an image is a clip of one frame"
        require(given.get("frames", 1) == 1, f"models: {name}: frames", given.get("frames"), one)
        return {**given, "frames": 1}
    if known.input == "features":
        groups = [group for group, each in GROUPS.items() if not each.moving]
        asked = given.get("features", ["frame", "noise", "compression", "chroma"])
        remedy = f"an image has no motion: use some of {', '.join(groups)}"
        require({*asked} <= {*groups, *embedding_groups(asked)}, f"models: {name}: features", asked, remedy)
        return {**given, "features": asked}
    return given
