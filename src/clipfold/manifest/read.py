"""Read and check the manifest: a table with a row per video.

Standard library only, since every Snakemake start runs this, also each cluster job's; a Parquet manifest needs pyarrow.
"""

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.names import check_case, check_printable, plain
from clipfold.manifest.table import ROW, Row, read_rows

COLUMNS = ("path", "label", "id", "group")
REQUIRED = ("path", "label")

_OF_WINDOWS = re.compile(r"\\|\A[A-Za-z]:/")


@dataclass(frozen=True, slots=True)
class Video:
    """A row of the manifest.

    Args:
        id: Unique name; the path as written where the manifest has no `id`.
        path: Path of the file, relative to the working directory or absolute.
        label: Class of the video.
        group: Source recording, person or camera, which folds keep together; the id where the manifest has none.
        grouped: Whether the manifest gives a group.
    """

    id: str
    path: str
    label: str
    group: str
    grouped: bool = True


def find_manifest(manifest: str, folders: Sequence[Path]) -> Path:
    """Find the manifest: an absolute path, or relative to the first folder that has it.

    Raises:
        ValueError: No manifest is set, or none of the folders has it.
    """
    require(bool(manifest), "manifest", manifest, "name a CSV, TSV or Parquet file with the columns path,label")
    for folder in folders:
        if (folder / manifest).is_file():
            return folder / manifest
    looked = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    raise ValueError(f"manifest is {manifest!r}: no such file, looked in {looked}; give a path relative to one of them")


def read_manifest(manifest: Path, columns: Mapping[str, str] | None = None, *, labelled: bool = True) -> list[Video]:
    """Read and check the manifest.

    Args:
        manifest: Text or Parquet table, see `read_rows`; its paths are relative to it.
        columns: The file's names for `path`, `label`, `id` and `group`, where they differ; `ROW` for `path` if its rows
            name no files: the path is then that of the manifest, the id by default `row 2`, as spreadsheets count.
        labelled: Whether each video must have a label, as for training; else it may be empty.

    Returns:
        The videos, in the order of the rows. Labels, groups and ids are `plain` names; a path is in the normal form in
        which the file is found.

    Raises:
        ValueError: The table cannot be read, a column is missing, a cell is empty, a path is one of Windows, an id
            occurs twice or is the group of others, names differ only in case, or there are no rows; the message names
            the row or the column, and the remedy.
    """
    names, required = _names(columns), REQUIRED if labelled else ("path",)
    folder = "" if manifest.parent == Path() else str(manifest.parent).rstrip("/") + "/"
    videos: list[Video] = []
    rows: dict[str, int] = {}  # id -> its row
    first: dict[str, dict[str, str]] = {"id": {}, "label": {}, "group": {}}  # names -> where they stand first
    for number, row in read_rows(manifest, names):
        if not videos:
            _check_header(manifest, row, names, required, asked=(columns or {}) if labelled else {})
        where = f"{manifest}, row {number}"
        cell = {column: row.get(names[column], "") for column in COLUMNS}
        for column in first:
            cell[column] = plain(cell[column])
            if cell[column] and cell[column] not in first[column]:
                check_printable(f"{where}, {names[column]}", cell[column])
                first[column][cell[column]] = f"row {number}"
        for column in required:
            require(bool(cell[column]), f"{where}, {names[column]}", cell[column], "fill in the cell")
        name = cell["id"] or _id(f"{where}, {names['path']}", cell["path"])
        video = Video(
            id=name,
            path=str(manifest) if names["path"] == ROW else _found(f"{where}, {names['path']}", folder, cell["path"]),
            label=cell["label"],
            group=cell["group"] or name,
            grouped=bool(cell["group"]),
        )
        if name in rows:
            raise ValueError(
                f"{where}: id {name!r} is also the id of row {rows[name]}; "
                "remove one of the rows, or give each its own id in an id column"
            )
        rows[name] = number
        videos.append(video)
    require(bool(videos), f"{manifest}, number of rows", 0, "add a row per video below the header")
    for column, places in first.items():
        check_case(f"{manifest}: {names[column]}", places.items())
    for video in videos:
        if not video.grouped and video.id in first["group"]:
            raise ValueError(
                f"{manifest}, row {rows[video.id]} has no {names['group']}, and its id {video.id!r} is the group "
                "of other rows: fill in the cell, or rename the group"
            )
    return videos


def read_extras(manifest: Path, columns: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Read the further columns of a checked manifest: all that are not in `COLUMNS`.

    Args:
        manifest: See `read_manifest`.
        columns: See `read_manifest`.

    Returns:
        Column -> text of each video, empty where the cell is empty. Rows are sorted by `id`, the first column; the
        others keep the order of the file. A column that is named as one of `COLUMNS`, but is none of them because
        `columns` renames that, is called `NAME (manifest)`. Empty without further columns.
    """
    names = _names(columns)
    rows = sorted(((_id_of(row, names), row) for _, row in read_rows(manifest, names)), key=lambda each: each[0])
    others = [name for name in rows[0][1] if name not in names.values()]
    if not others:
        return {}
    called = {name: f"{name} (manifest)" if name in COLUMNS else name for name in others}
    return {"id": [each for each, _ in rows]} | {called[name]: [row[name] for _, row in rows] for name in others}


SPLITS = ("train", "val", "test")


def read_splits(manifest: Path, columns: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read the manifest's column `split`, for the scheme `column`.

    Args:
        manifest: See `read_manifest`, which has checked it.
        columns: See `read_manifest`; may also rename `split`.

    Returns:
        Id -> `train`, `val` or `test`.

    Raises:
        ValueError: The column is missing, a cell is none of the three, or a class is missing from `train` or `test`.
    """
    names = _names(columns) | {"split": (columns or {}).get("split", "split")}
    splits: dict[str, str] = {}
    labels: dict[str, set[str]] = {split: set() for split in SPLITS}
    for number, row in read_rows(manifest, names):
        if not splits:
            _check_header(manifest, row, names, REQUIRED, asked={"split": ""}, why=" (splits.scheme is column)")
        split = row[names["split"]]
        require(
            split in SPLITS, f"{manifest}, row {number}, {names['split']}", split, f"use one of {', '.join(SPLITS)}"
        )
        splits[_id_of(row, names)] = split
        labels[split].add(plain(row[names["label"]]))
    check_classes(set().union(*labels.values()))
    for split in ("train", "test"):
        missing = sorted(set().union(*labels.values()) - labels[split])
        if missing:
            raise ValueError(
                f"{manifest}: no row with label {', '.join(map(repr, missing))} has {split!r} in {names['split']}: "
                "each class needs videos to train and to test with"
            )
    return splits


def check_classes(labels: Collection[str]) -> None:
    """Raise if there is only one class.

    Raises:
        ValueError: There is only one class.
    """
    if len(labels) < 2:
        raise ValueError(f"label is {next(iter(labels))!r} in every row: a classifier needs at least two classes")


def is_address(path: str) -> bool:
    """Return whether a path is an address in storage, such as `s3://bucket/clip.mp4`."""
    return "://" in path and path.partition("://")[0].isalnum()


def _join(folder: str, path: str) -> str:
    """Return `str(Path(folder, path))`, which would itself take a second for 100,000 paths.

    >>> _join("data/", "a/b.mp4"), _join("data/", "./a//b.mp4"), _join("data/", "/c.mp4")
    ('data/a/b.mp4', 'data/a/b.mp4', '/c.mp4')
    """
    if is_address(path):
        return path
    plain = path[0] not in "./" and path[-1] != "/" and "//" not in path and "/." not in path
    return folder + path if plain else str(Path(folder, path))


def missing_files(videos: Iterable[Video], folder: Path) -> list[str]:
    """List the paths, relative to a folder, of videos that are not there, but for addresses in storage."""
    paths = (video.path for video in videos if not is_address(video.path))
    return [path for path in paths if not os.path.exists(os.path.join(folder, path))]


def _names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return column -> its name in the manifest.

    Raises:
        ValueError: Two columns have the same name.
    """
    names = dict(zip(COLUMNS, COLUMNS, strict=True)) | {c: n for c, n in (columns or {}).items() if c in COLUMNS}
    column_of: dict[str, str] = {}
    for column, name in {**names, **(columns or {})}.items():
        other = column_of.setdefault(name, column)
        require(other == column, f"columns.{column}", name, f"this is the column for {other} too: name another")
    return names


def _id(where: str, path: str) -> str:
    """Return the id of a video without one: its path as written, in Unicode's normal form C."""
    name = unicodedata.normalize("NFC", path)
    check_printable(f"{where} (the id, as there is no other)", name)
    return name


def _id_of(row: Row, names: Mapping[str, str]) -> str:
    return plain(row.get(names["id"], "")) or unicodedata.normalize("NFC", row[names["path"]])


def _found(where: str, folder: str, cell: str) -> str:
    """Return the path in the normal form in which the file is there: archives and macOS change it.

    Raises:
        ValueError: It is a path of Windows.
    """
    path = _join(folder, cell)
    if is_address(path) or (path.isascii() and not _OF_WINDOWS.search(cell)) or os.path.lexists(path):
        return path
    require(
        not _OF_WINDOWS.search(cell), where, cell, "this is a path of Windows: use / and paths relative to the manifest"
    )
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next(filter(os.path.lexists, forms), path)


def _check_header(
    manifest: Path,
    row: Mapping[str, str],
    names: Mapping[str, str],
    required: Sequence[str],
    asked: Mapping[str, str],
    why: str = "",
) -> None:
    for column in (*required, *(c for c in asked if c not in required and asked[c] != c)):
        if names[column] not in row:
            raise ValueError(
                f"{manifest} has no column {names[column]!r} for {column}{why}, only {', '.join(row)}: "
                f"add it, or give its name in the config (columns: {{{column}: NAME}})"
            )
