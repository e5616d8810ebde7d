"""Whether the videos can be dealt into folds, and into how many. Standard library only."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from clipfold.checks import require
from clipfold.manifest.read import Video, check_classes


def count_folds(videos: Sequence[Video], scheme: str, folds: int, repeats: int) -> int:
    """How many test parts a scheme comes to; fold numbers run on over repeats.

    Raises:
        ValueError: the videos cannot be dealt so.
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
    """Make sure that the videos can be dealt into folds at all.

    Raises:
        ValueError: only one class, fewer groups than folds, or a class in fewer than three groups (one each to train,
            choose and test with).
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for video in videos:
        groups[video.label].add(video.group)
    check_classes(groups)
    total = len(set().union(*groups.values()))
    if total < folds:
        raise ValueError(f"splits.folds is {folds}, but there are only {total} groups: use at most {total} folds")
    for label, members in sorted(groups.items()):
        if len(members) < 3:
            raise ValueError(
                f"label {label!r} is in {len(members)} group(s) only ({', '.join(sorted(members))}): it takes at least "
                "3, to train, to choose and to test with; add videos of other groups or merge the class with another"
            )
