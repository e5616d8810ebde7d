"""The groups of features, each listed once. Standard library only: every start reads it."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

View = Literal["metadata", "clips", "motion", "native"]


class Group(NamedTuple):
    """A group of columns in the table of features.

    Attributes:
        module: Module with `COLUMNS` (name -> unit or meaning) and `features(data)`, which returns a number for each
            of them. The first line of its docstring describes the group in the reference.
        view: The view that `features` reads of a video, or `metadata` for its row of the probe's table.
        timed: Whether `features` takes the times of the frames in seconds, float64 (frames), as a second argument.
        version: Raised when a column changes its meaning, so that no model reads other values than it learned from.
        moving: Whether it says something of what changes from frame to frame, and nothing of an image.
    """

    module: str
    view: View
    moving: bool = False
    timed: bool = False
    version: int = 1


GROUPS: Mapping[str, Group] = {
    "brightness": Group("clipfold.features.brightness", view="motion"),
    "colour": Group("clipfold.features.colour", view="clips"),
    "container": Group("clipfold.features.container", view="metadata"),
    "frame": Group("clipfold.features.frame", view="clips"),
    "motion": Group("clipfold.features.motion", view="motion", moving=True, timed=True, version=2),
    "violent_flow": Group("clipfold.features.violent_flow", view="motion", moving=True, timed=True),
    "regions": Group("clipfold.features.regions", view="motion", moving=True, timed=True),
    "texture": Group("clipfold.features.texture", view="motion", moving=True),
    "temporal": Group("clipfold.features.temporal", view="motion", moving=True, timed=True),
    "noise": Group("clipfold.features.noise", view="native", version=2),
    "compression": Group("clipfold.features.compression", view="native"),
    "chroma": Group("clipfold.features.chroma", view="clips"),
    "shuffled": Group("clipfold.features.shuffled", view="motion", moving=True, timed=True),
    "sound": Group("clipfold.features.sound", view="metadata"),
    "still": Group("clipfold.features.still", view="clips"),
}

MODULES = tuple(group.module for group in GROUPS.values())
"""Modules of all groups: loaded by name, so fingerprints must list them."""

VIEWS = tuple(sorted({group.view for group in GROUPS.values()} - {"metadata"}))
"""The decoded views that the groups read."""


def group_of(column: str) -> str:
    """Return the group of a column; an encoder's embeddings are one, see `clipfold.features.embedding`.

    >>> group_of("motion.speed_mean"), group_of("embedding.small.mean_0")
    ('motion', 'embedding.small')
    """
    group, _, rest = column.partition(".")
    return f"{group}.{rest.partition('.')[0]}" if group == "embedding" else group


def versions_of(columns: Iterable[str]) -> dict[str, int]:
    """Return the version of each group that the columns belong to; those of no group are left out.

    >>> versions_of(["motion.speed_mean", "frame.r_0_0", "a column of a table"])
    {'frame': 1, 'motion': 2}
    """
    names = sorted({group_of(column) for column in columns})
    return {name: GROUPS[name].version for name in names if name in GROUPS}
