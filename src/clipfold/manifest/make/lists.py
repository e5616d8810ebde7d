"""MMAction2 and PySlowFast: lists of path and class number."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.make.files import group_by_name, read_lines, suffix_of
from clipfold.manifest.make.found import SPLIT_OF, Found, Options, check_folder
from clipfold.manifest.suffixes import VIDEOS

_CLASS_LISTS = ("*label_map*", "*label_list*", "*classes*", "classInd.txt", "*class_to_id*", "*classids*", "labels.txt")
_RANK = ("test", "val", "train")  # a video in several lists counts in the first of these
_LOOKED_AT = 200

Line = tuple[str, int]
"""Path and class number."""


def make_mmaction(source: Path, options: Options) -> Found:
    """Read MMAction2's lists: `path number`, or `folder frames number` for folders of frames."""
    return _make(source, options, "*.txt", _fields)


def make_slowfast(source: Path, options: Options) -> Found:
    """Read PySlowFast's `train.csv`, `val.csv`, `test.csv`: path and number, separated by a blank or a comma."""
    return _make(source, options, "*.csv", _fields)


def _fields(line: str) -> list[Line]:
    """Return the ways to read a line, the likelier first: a path may hold blanks, commas and numbers."""
    ways = []
    for pattern in (r"(.+?)[\s,]+\d+[\s,]+(\d+)", r"(.+)[\s,]+(\d+)"):
        match = re.fullmatch(pattern, line)
        if match:
            ways.append((match[1].strip('"'), int(match[2])))
    return ways[::-1]


def _make(source: Path, options: Options, pattern: str, fields: Callable[[str], list[Line]]) -> Found:
    require(source.exists(), "source", str(source), "no such file or folder")
    folder = source if source.is_dir() else source.parent
    found = Found()
    class_list = options.classes or next((p for each in _CLASS_LISTS for p in sorted(folder.glob(each))), None)
    lists = [source] if source.is_file() else _lists(folder, pattern, class_list, options, found)
    classes = read_classes(class_list) if class_list else {}
    bases = [check_folder("videos", options.videos)] if options.videos else _bases(folder)
    best: dict[str, dict[str, str]] = {}
    twice: list[str] = []
    for path in lists:
        split = _split_of(path)
        lines = [(line, fields(line)) for line in read_lines(path)]
        base = _base(bases, [way for _, ways in lines[:_LOOKED_AT] for way in ways])
        for line, ways in lines:
            placed = next(((base / name, number) for name, number in ways if _exists(base / name)), None)
            if placed is None:
                found.leave("listed, but no such video" if ways else f"not a path and a number in {path.name}", [line])
                continue
            row = {"path": str(placed[0]), "label": classes.get(placed[1], str(placed[1])), "split": split}
            other = best.setdefault(row["path"], row)
            if other is row:
                continue
            twice.append(line)
            if split in _RANK and _RANK.index(split) < _RANK.index(other["split"]):
                best[row["path"]] = row
    found.rows = list(best.values())
    if class_list:
        found.notes.append(f"names of the classes: {class_list}")
        unnamed = sorted({row["label"] for row in found.rows} - {*classes.values()})
        require(not unnamed, "classes", str(class_list), f"it has no names for the numbers {', '.join(unnamed[:10])}")
    else:
        found.notes.append("no list of classes: their numbers are the labels; name one by --classes")
    if twice:
        found.notes.append(
            f"{len(twice)} lines name a video again, such as {twice[0]!r}: test counts before val, val before train"
        )
    group_by_name(found)
    return found


def _lists(folder: Path, pattern: str, class_list: Path | None, options: Options, found: Found) -> list[Path]:
    paths = [p for p in sorted(folder.glob(pattern)) if p != class_list and _split_of(p)]
    numbered = sorted({m[1] for p in paths if (m := re.search(r"split_?(\d+)", p.stem))})
    if numbered:
        number = str(options.split or 1)
        require(number in numbered, "split", number, f"there are lists of the splits {', '.join(numbered)}")
        paths = [p for p in paths if not (m := re.search(r"split_?(\d+)", p.stem)) or m[1] == number]
        found.notes.append(f"lists of split {number}")
    of_videos = [p for p in paths if "rawframes" not in p.name]
    if of_videos and len(of_videos) < len(paths):
        found.notes.append("lists of rawframes are not read, since there are lists of videos")
    paths = of_videos or paths
    require(
        bool(paths),
        "source",
        str(folder),
        f"no list {pattern} whose name has train, val or test: name a list or its folder",
    )
    found.notes.append(f"lists: {', '.join(p.name for p in paths)}")
    return paths


def _split_of(path: Path) -> str:
    words = re.split(r"[^a-z]+", path.stem.lower())
    return next((SPLIT_OF[word] for word in words if word in SPLIT_OF), "")


def _bases(folder: Path) -> list[Path]:
    """List where paths may be relative to: the lists' folder, the one above, and those directly below both."""
    near = [folder, folder.parent]
    return [place.resolve() for place in (*near, *(p for each in near for p in sorted(each.iterdir()) if p.is_dir()))]


def _base(bases: Iterable[Path], lines: Iterable[Line]) -> Path:
    names = {name for name, _ in lines}
    return max(bases, key=lambda base: sum(_exists(base / name) for name in names))


def _exists(path: Path) -> bool:
    try:
        return path.is_dir() if suffix_of(path.name) not in VIDEOS else path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def read_classes(path: Path) -> dict[int, str]:
    """Read the names of classes: JSON of name -> number or a list, or a line per class, `name` or `number name`.

    Numbered lines may count from 1, as in UCF101's `classInd.txt`, though labels count from 0 in all lists that use it.

    Returns:
        Number, from 0 -> name.

    Raises:
        ValueError: The file is of no such form.
    """
    require(path.is_file(), "classes", str(path), "no such file")
    if suffix_of(path.name) == ".json":
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            numbered = dict(enumerate(data)) if isinstance(data, list) else {int(n): name for name, n in data.items()}
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON of name -> number: {error}") from None
        return {number: str(name).strip('"') for number, name in numbered.items()}
    lines = list(read_lines(path))
    matches = [re.fullmatch(r"(\d+)[\s,]+(.+)|(.+),(\d+)", line) for line in lines]
    if lines and all(matches):
        numbers = {int(m[1] or m[4]): m[2] or m[3] for m in matches if m}
        first = min(numbers)
        return {number - first: name for number, name in numbers.items()} if first == 1 else numbers
    return dict(enumerate(line.strip() for line in lines))
