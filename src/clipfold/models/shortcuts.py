"""The baselines that cannot know what happens in a video. Standard library only: every start reads it."""

from collections.abc import Mapping, Sequence

from clipfold.models.architecture import on_features
from clipfold.models.declare import Setting

LIGHT = on_features(
    "linear_or_trees",
    kind=Setting({"grid": ["linear", "trees"]}, "kind of model", kind=str),
    C=Setting(0.1, "inverse strength of the L2 regularisation"),
)
"""The architecture of those on features; entries of `models:` cannot name it."""

SHORTCUTS: Mapping[str, Sequence[str]] = {
    "shortcut_container": ["container"],
    "shortcut_sound": ["sound"],
    "shortcut_brightness": ["brightness"],  # alone: other columns would hide it from a fit on few videos
    "shortcut_colour": ["colour"],
    "shortcut_mean_frame": ["frame"],
    "shortcut_still": ["still"],
    "shortcut_shuffled": ["shuffled"],
}
"""Name -> the feature groups that it sees."""

OF_IMAGES = ("shortcut_container", "shortcut_brightness", "shortcut_colour", "shortcut_mean_frame")
PREFIX = "shortcut_"
"""Prefix of the name of a baseline, and of no model."""
