"""Hold what a layout yields, and what a user may say about it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clipfold.checks import require

SPLIT_OF = {
    name: split
    for split, names in (
        ("train", ("train", "training")),
        ("val", ("val", "valid", "validate", "validation", "dev")),
        ("test", ("test", "testing", "eval", "evaluation")),
    )
    for name in names
}
"""Names of splits in folders and lists -> the word in the column `split`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a user may say about a source; empty where nothing was said.

    Args:
        videos: Folder of the videos, where the lists lie apart from them.
        split: Number of the official split.
        classes: File with the names of the classes, in the order of their numbers.
        modality: `video` or `image`, as in the config.
        compression: One of the compressions of FaceForensics++.
        label: Column or field with the label.
        group: Column or field with the group.
    """

    videos: Path | None = None
    split: int | None = None
    classes: Path | None = None
    modality: str = "video"
    compression: str = ""
    label: str = ""
    group: str = ""


@dataclass(slots=True)
class Found:
    """The rows that a layout yields.

    Args:
        rows: Column -> text of each row. `path` is absolute; an empty `label` means none.
        groups: What was taken for groups, and why.
        unplaced: Reason -> names of what has no place in the manifest for it.
        notes: What else the user should know.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    groups: str = ""
    unplaced: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def leave(self, reason: str, names: Iterable[str]) -> None:
        """Note what has no place in the manifest."""
        for name in names:
            self.unplaced.setdefault(reason, []).append(name)


def check_folder(name: str, folder: Path) -> Path:
    """Return a folder by its real path.

    Raises:
        ValueError: It is no folder.
    """
    require(folder.is_dir(), name, str(folder), "no such folder: name one")
    return folder.resolve()
