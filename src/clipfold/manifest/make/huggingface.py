"""A videofolder or imagefolder of Hugging Face: files, and `metadata.csv` or `metadata.jsonl` beside them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.make import folders
from clipfold.manifest.make.files import NO_GROUPS, files_below, group_by_name, read_lines, suffix_of
from clipfold.manifest.make.found import SPLIT_OF, Found, Options, check_folder
from clipfold.manifest.make.lists import read_classes
from clipfold.manifest.suffixes import PICTURES, VIDEOS
from clipfold.manifest.table import read_rows

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILES = ("file_name", "video_file_name", "image_file_name", "video", "image")


def make(source: Path, options: Options) -> Found:
    """Read each `metadata` file below the source; its `file_name` is relative to it, all its columns are kept.

    Below a folder `train`, `validation` or `test`, that is the split. Without any metadata, folders are classes.

    Args:
        source: Folder of the data set.
        options: `label` and `group` name the columns; `classes` names the numbers of a label.

    Raises:
        ValueError: There is no column with file names or labels.
    """
    root, found = check_folder("source", source), Found()
    names = files_below(root, found)
    tables = [name for name in names if name.rpartition("/")[2] in _NAMES]
    if not tables:
        modality = "video" if any(suffix_of(name) in VIDEOS for name in names) else "image"
        found = folders.make(source, replace(options, modality=modality))
        found.notes.append("no metadata.csv or metadata.jsonl: folders are classes")
        return found
    classes = read_classes(options.classes) if options.classes else {}
    label, group = options.label or "label", options.group or "group"
    suffixes = PICTURES | VIDEOS
    used: set[str] = set()
    for table in tables:
        folder = table.rpartition("/")[0]
        split = next((SPLIT_OF[part.lower()] for part in folder.split("/") if part.lower() in SPLIT_OF), "")
        for where, row in _rows(root / table):
            column = next((each for each in _FILES if each in row), "")
            require(bool(column), where, ", ".join(row), f"no column {' or '.join(_FILES)}")
            require(
                label in row,
                f"{where}, columns",
                ", ".join(row),
                f"no column {label}: name the one with labels by --label",
            )
            name = f"{folder}/{row[column]}".lstrip("/")
            if name not in names:  # which also keeps `..` and absolute names out
                found.leave("listed, but no such file in the folder", [name])
                continue
            used.add(name)
            text = row[label]
            rest = {key: value for key, value in row.items() if key not in (column, label, group, "path", "id")}
            found.rows.append(
                {"path": str(root / name), "label": classes.get(int(text), text) if text.isdecimal() else text}
                | {"group": row.get(group, ""), "split": split or SPLIT_OF.get(row.get("split", "").lower(), "")}
                | {key: value for key, value in rest.items() if key != "split"}
            )
    media = (name for name in names if suffix_of(name) in suffixes)
    found.leave("in no metadata file", (name for name in media if name not in used))
    if any(row["group"] for row in found.rows):
        found.groups = f"the column {group}"
    else:
        group_by_name(found)
        if found.groups == NO_GROUPS:
            found.notes.append("if a column names the recording or person, give it by --group")
    return found


def _rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where a row stands and its cells."""
    if suffix_of(table.name) != ".jsonl":
        for number, row in read_rows(table, {"path": "file_name", "label": "label"}):
            yield f"{table}, row {number}", row
        return
    for number, line in enumerate(read_lines(table), 1):
        where = f"{table}, line {number}"
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"{where} is no JSON: write an object in each line") from None
        require(isinstance(data, dict), where, line[:40], "write an object in each line")
        yield where, {str(k): "" if v is None else v if isinstance(v, str) else json.dumps(v) for k, v in data.items()}
