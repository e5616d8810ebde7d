"""Find videos and pictures below a folder, and recognise names that give a recording."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clipfold.manifest.groups import SEPARATOR
from clipfold.manifest.make.found import Found
from clipfold.manifest.suffixes import PICTURES, VIDEOS

_RECORDINGS = (
    ("names as in UCF101 (v_CLASS_g01_c01)", re.compile(r"(v_.+_g\d+)_c\d+")),
    ("names as in Kinetics (ID_000010_000020)", re.compile(r"([\w-]{11})_\d{6}_\d{6}")),
)
NO_GROUPS = (
    "none found: the run proposes some from names and pictures, and the audit says how reliable they are; "
    "if you know the recordings or people, add a column group"
)


def files_below(folder: Path, found: Found) -> list[str]:
    """List the regular files below a folder by their names relative to it, in order of name.

    Links to folders are not followed, and hidden files are left out, with a word about both.
    """
    names: list[str] = []
    for place, folders, files in os.walk(folder):
        inside = os.path.relpath(place, folder)
        prefix = "" if inside == "." else inside + "/"
        found.leave("links to folders are not followed", (prefix + f for f in folders if _is_link(place, f)))
        hidden = [name for name in files if name.startswith(".")]
        found.leave("hidden files", (prefix + name for name in hidden))
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += (prefix + name for name in files if name not in hidden)
    odd = {name for name in names if not (folder / name).is_file()}
    found.leave("no regular file behind this name", sorted(odd))
    return sorted(name for name in names if name not in odd)


def _is_link(place: str, name: str) -> bool:
    return os.path.islink(os.path.join(place, name))


def suffix_of(name: str) -> str:
    """Return the suffix of a name in lower case."""
    return os.path.splitext(name)[1].lower()


def stem_of(name: str) -> str:
    """Return the last part of a path without its suffix."""
    return os.path.splitext(os.path.basename(name))[0]


def samples_below(folder: Path, found: Found, suffixes: Collection[str] = VIDEOS) -> list[str]:
    """List videos (or other files with one of `suffixes`) below a folder; says what else is there."""
    names = files_below(folder, found)
    wanted = {name for name in names if suffix_of(name) in suffixes}
    found.leave("not a video by the suffix", (name for name in names if name not in wanted and not _is_list(name)))
    return sorted(wanted)


def _is_list(name: str) -> bool:
    return suffix_of(name) in (".txt", ".csv", ".tsv", ".json", ".jsonl", ".md")


def frame_folders(names: Iterable[str]) -> dict[str, int]:
    """Find the folders that hold at least two pictures and no video: folder -> number of pictures."""
    count: dict[str, int] = {}
    mixed: set[str] = set()
    for name in names:
        place = os.path.dirname(name)
        if suffix_of(name) in PICTURES:
            count[place] = count.get(place, 0) + 1
        elif suffix_of(name) in VIDEOS:
            mixed.add(place)
    return {place: number for place, number in count.items() if number > 1 and place not in mixed}


class ByName:
    """Videos by the names under which lists know them: whatever the suffix and, unless asked, the case."""

    def __init__(self, names: Iterable[str], *, case: bool = False) -> None:
        self._case = case
        self._places: dict[str, list[str]] = {}
        for name in names:
            self._places.setdefault(self._key(os.path.basename(name)), []).append(name)

    def _key(self, name: str) -> str:
        stem = os.path.splitext(name)[0] if suffix_of(name) in VIDEOS else name
        return stem if self._case else stem.casefold()

    def find(self, listed: str) -> list[str]:
        """Return the files of a listed name; its folder decides where several have the same name."""
        places = self._places.get(self._key(os.path.basename(listed)), [])
        wanted = [part.casefold().replace(" ", "_") for part in Path(listed).parts[:-1]]
        near = [
            p for p in places if [x.casefold().replace(" ", "_") for x in Path(p).parts[:-1]][-len(wanted) :] == wanted
        ]
        return near if wanted and near else places


def known_recordings(rows: Sequence[Mapping[str, str]]) -> tuple[str, list[str]]:
    """Return how the names give recordings, and the recording of each row; empty if they do not, for every row."""
    stems = [stem_of(row["path"]) for row in rows]
    for why, pattern in _RECORDINGS:
        matches = [pattern.fullmatch(stem) for stem in stems]
        if rows and all(matches):
            return why, [match[1] for match in matches if match]
    return "", []


def one_group(name: str) -> str:
    """Return a name as one group: a cell with `SEPARATOR` would hold several."""
    return name.replace(SEPARATOR, "_")


def group_by_name(found: Found) -> None:
    """Give each row the group that its name tells, if all names do."""
    why, groups = known_recordings(found.rows)
    if not why:
        found.groups = NO_GROUPS
        return
    for row, group in zip(found.rows, groups, strict=True):
        row["group"] = one_group(group)
    found.groups = f"the recording in the {why}"


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text that are not empty, without blanks at the end.

    Raises:
        ValueError: It is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8") from None
    yield from (line.rstrip() for line in text.split("\n") if line.strip())
