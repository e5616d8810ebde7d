"""A folder per class, with folders below it, or below `train`, `val`, `test`."""

from collections import Counter
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.make.files import (
    NO_GROUPS,
    files_below,
    frame_folders,
    group_by_name,
    known_recordings,
    one_group,
    suffix_of,
)
from clipfold.manifest.make.found import SPLIT_OF, Found, Options, check_folder
from clipfold.manifest.suffixes import ARCHIVES, PICTURES, VIDEOS

_LARGEST = 0.2  # a folder with a larger share of the rows is a part of the class, not a recording


def make(source: Path, options: Options) -> Found:
    """Take the folder of a file for its class.

    Where all folders at the top are named `train`, `val`, `test` or alike, they are splits, and those below them
    classes. With `modality: video`, a folder of pictures or an archive below a class is one video. The folder below the
    class is taken for the group where no such folder has more than a fifth of the rows.
    """
    root, found = check_folder("source", source), Found()
    names = files_below(root, found)
    samples = _samples(names, found, options.modality)
    inside = [name for name in samples if "/" in name]
    found.leave("in no class folder", (name for name in samples if "/" not in name))
    tops = {name.split("/")[0].lower() for name in inside}
    splits = tops <= SPLIT_OF.keys()
    for name in inside:
        *folders, _ = name.split("/")
        row = {"path": str(root / name)}
        if splits:
            row["split"] = SPLIT_OF[folders.pop(0).lower()]
        if not folders:
            found.leave("in no class folder", [name])
            continue
        row["label"], *below = folders
        row["group"] = one_group("/".join(below))
        found.rows.append(row)
    _name_groups(found)
    return found


def _samples(names: list[str], found: Found, modality: str) -> list[str]:
    if modality == "image":
        found.leave("not an image by the suffix", (name for name in names if suffix_of(name) not in PICTURES))
        return [name for name in names if suffix_of(name) in PICTURES]
    frames = frame_folders(names)
    for place, number in frames.items():
        depth = place.count("/") - (place.split("/")[0].lower() in SPLIT_OF)
        require(
            depth > 0,
            "modality",
            modality,
            f"the class folder {place} holds {number} images: for a row per image, add --modality image; for videos "
            "stored as frames, put each video's into a folder of its own below the class",
        )
    videos = [name for name in names if suffix_of(name) in VIDEOS.union(ARCHIVES)]
    other = (n for n in names if suffix_of(n) not in VIDEOS.union(ARCHIVES) and n.rpartition("/")[0] not in frames)
    found.leave("not a video by the suffix", other)
    return sorted([*videos, *frames])


def _name_groups(found: Found) -> None:
    size = Counter(row["group"] for row in found.rows)
    small = max(size.values(), default=0) <= max(2, _LARGEST * len(found.rows))
    if known_recordings(found.rows)[0] or "" in size or not small:
        deep = any(size) and not known_recordings(found.rows)[0]
        for row in found.rows:
            if row["group"] and deep:
                row["folder"] = row["group"]
            del row["group"]
        group_by_name(found)
        if deep and found.groups == NO_GROUPS:
            found.notes.append(
                "the folders below the classes are no groups, since one has many rows: see column folder"
            )
        return
    found.groups = "the folder below the class, since none has more than a fifth of the rows"
