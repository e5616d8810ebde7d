"""The groups of features, each listed once. Standard library only: every start reads it."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

View = Literal["metadata", "clips", "motion", "native"]


class Group(NamedTuple):
    """A group of columns in the table of features.

    Attributes:
        module: Module with `COLUMNS` (name -> unit or meaning) and `features(data)`, which returns a number for each
            of them. The first line of its docstring describes the group in the reference.
        view: The view that `features` reads of a video, or `metadata` for its row of the probe's table.
        moving: Whether it says something of what changes from frame to frame, and nothing of an image.
    """

    module: str
    view: View
    moving: bool = False


GROUPS: Mapping[str, Group] = {
    "brightness": Group("clipfold.features.brightness", view="motion"),
    "colour": Group("clipfold.features.colour", view="clips"),
    "container": Group("clipfold.features.container", view="metadata"),
    "frame": Group("clipfold.features.frame", view="clips"),
    "motion": Group("clipfold.features.motion", view="motion", moving=True),
    "noise": Group("clipfold.features.noise", view="native"),
    "shuffled": Group("clipfold.features.shuffled", view="motion", moving=True),
    "sound": Group("clipfold.features.sound", view="metadata"),
    "still": Group("clipfold.features.still", view="clips"),
}

MODULES = tuple(group.module for group in GROUPS.values())
"""Modules of all groups: loaded by name, so fingerprints must list them."""

VIEWS = tuple(sorted({group.view for group in GROUPS.values()} - {"metadata"}))
"""The decoded views that the groups read."""
