"""FaceForensics++: real videos of people, and fakes made of two of them."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.groups import SEPARATOR
from clipfold.manifest.make.files import samples_below, stem_of
from clipfold.manifest.make.found import Found, Options, check_folder

_KINDS = {"original_sequences": "real", "manipulated_sequences": "fake"}
_COMPRESSIONS = ("raw", "c0", "c23", "c40")
_YOUTUBE = re.compile(r"(\d{3})(?:_(\d{3}))?")
_ACTORS = re.compile(r"(\d{2})(?:_(\d{2}))?__.+")
_SPLITS = ("train", "val", "test")


def make(source: Path, options: Options) -> Found:
    """Take both identities of a fake for its groups, and the splits from the lists of pairs.

    A video is `real` below `original_sequences` and `fake` below `manipulated_sequences`; `000_003.mp4` shows the face
    of identity 003 on 000. `train.json`, `val.json` and `test.json` list pairs; they may be missing.
    Source: Rössler et al., FaceForensics++, 2019.

    Args:
        source: Folder of the data set, or of the lists.
        options: `videos` is where the videos are; `compression` takes one of raw, c23, c40.

    Raises:
        ValueError: A list is of another form, or there is no video of the compression.
    """
    root, found = check_folder("source", source), Found()
    videos = check_folder("videos", options.videos) if options.videos else root
    split_of = _read_splits(root)
    compressions: set[str] = set()
    for name in samples_below(videos, found):
        folders = name.split("/")[:-1]
        top = next((place for place, folder in enumerate(folders) if folder in _KINDS), None)
        identities = _identities(stem_of(name))
        if top is None or not identities:
            found.leave("no video of FaceForensics++ by folder and name", [name])
            continue
        compression = next((folder for folder in folders if folder in _COMPRESSIONS), "")
        compressions.add(compression)
        if options.compression not in ("", compression):
            found.leave(f"not {options.compression}", [name])
            continue
        splits = {split_of.get(each, "") for each in identities}
        if split_of and (len(splits) > 1 or splits == {""}):
            found.leave("in no list, or its identities are in different lists", [name])
            continue
        found.rows.append(
            {
                "path": str(videos / name),
                "label": _KINDS[folders[top]],
                "group": SEPARATOR.join(identities),
                "split": splits.pop(),
                "method": "".join(folders[top + 1 : top + 2]),
                "compression": compression,
            }
        )
    require(
        options.compression in ("", *compressions),
        "compression",
        options.compression,
        f"there are videos of {', '.join(sorted(compressions)) or 'none'}",
    )
    if len(compressions) > 1 and not options.compression:
        found.notes.append(f"each video is there as {', '.join(sorted(compressions))}: --compression takes one")
    found.groups = (
        "both identities of a name such as 000_003, since a fake shows two people: rows that share one stay together"
    )
    return found


def _identities(stem: str) -> list[str]:
    """Return the people of a name.

    >>> _identities("000_003"), _identities("01_02__walking__YVGY8LOK"), _identities("intro")
    (['000', '003'], ['actor 01', 'actor 02'], [])
    """
    if match := _YOUTUBE.fullmatch(stem):
        return [each for each in match.groups() if each]
    if match := _ACTORS.fullmatch(stem):
        return [f"actor {each}" for each in match.groups() if each]
    return []


def _read_splits(root: Path) -> dict[str, str]:
    """Read identity -> split; empty without lists."""
    split_of: dict[str, str] = {}
    for split in _SPLITS:
        for path in sorted(root.rglob(f"{split}.json"))[:1]:
            try:
                names = list(_flat(json.loads(path.read_text(encoding="utf-8"))))
            except (ValueError, TypeError, RecursionError) as error:
                raise ValueError(f'{path} is no list of pairs such as [["000", "003"]]: {error}') from None
            for name in names:
                other = split_of.setdefault(name, split)
                require(other == split, f"{path}, identity", name, f"it is in {other}.json, too: remove it from one")
    return split_of


def _flat(data: object) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for each in data:
            yield from _flat(each)
    else:
        raise TypeError(f"{data!r:.40} is neither a list nor text")
