"""Check that videos can be assigned to folds, and count the folds. Standard library only."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from clipfold.checks import require
from clipfold.manifest.read import Video, check_classes

_LEAST_GROUPS = 3
"""Groups of a class: one each to train, to validate and to test with."""


def count_folds(videos: Sequence[Video], scheme: str, folds: int, repeats: int) -> int:
    """Count the folds of a scheme; fold numbers continue over repeats.

    Raises:
        ValueError: The videos cannot be assigned to folds in this way.
    """
    if scheme == "column":
        return 1
    if scheme == "random":
        videos = [replace(video, group=video.id) for video in videos]
    groups = len({video.group for video in videos})
    if scheme == "leave_one_group_out":
        require(
            groups < len(videos),
            "splits.scheme",
            scheme,
            "it needs a column group in the manifest, with groups of more than one video",
        )
        folds = groups
    check_enough(videos, folds)
    return folds * repeats


def check_enough(videos: Sequence[Video], folds: int) -> None:
    """Check that there are enough classes and groups for the folds.

    Raises:
        ValueError: There is only one class, a class in fewer than three groups, or fewer groups than folds.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for video in videos:
        groups[video.label].add(video.group)
    check_classes(groups)
    for label, members in sorted(groups.items()):
        if len(members) < _LEAST_GROUPS:
            raise ValueError(
                f"label {label!r} is in {len(members)} group(s) only ({', '.join(sorted(members))}): it needs at least "
                f"{_LEAST_GROUPS}, to train, validate and test with; add videos of other groups, or merge the class "
                "with another"
            )
    total = len(set().union(*groups.values()))
    require(total >= folds, "splits.folds", folds, f"use at most {total}, the number of groups in the manifest")
