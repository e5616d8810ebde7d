"""Read and check the manifest: a table with a row per video.

Standard library only, since every Snakemake start runs this, also each cluster job's; a Parquet manifest needs pyarrow.
"""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from clipfold.checks import require

COLUMNS = ("path", "label", "id", "group")
REQUIRED = ("path", "label")


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


def read_manifest(manifest: Path, columns: Mapping[str, str] | None = None) -> list[Video]:
    """Read and check the manifest.

    Args:
        manifest: CSV (`.csv`), tab-separated (`.tsv`) or Parquet (`.parquet`) file; its paths are relative to it.
        columns: The file's names for `path`, `label`, `id` and `group`, where they differ.

    Returns:
        The videos, in the order of the rows.

    Raises:
        ValueError: A column is missing or duplicated, a cell is empty, badly quoted or not UTF-8, an id occurs twice or
            is the group of others, or there are no rows; the message names the row or the column, and the remedy.
    """
    names = dict(zip(COLUMNS, COLUMNS, strict=True)) | dict(columns or {})
    folder = "" if manifest.parent == Path() else str(manifest.parent).rstrip("/") + "/"
    videos: list[Video] = []
    first_row: dict[str, int] = {}
    for number, row in _rows(manifest, names["path"]):
        if not videos:
            _check_header(manifest, row, names, asked=columns or {})
        cell = {column: row.get(names[column], "") for column in COLUMNS}
        for column in REQUIRED:
            if not cell[column]:
                require(False, f"{manifest}, row {number}, {names[column]}", cell[column], "fill in the cell")
        video = Video(
            id=cell["id"] or cell["path"],
            path=_join(folder, cell["path"]),
            label=cell["label"],
            group=cell["group"] or cell["id"] or cell["path"],
            grouped=bool(cell["group"]),
        )
        if video.id in first_row:
            raise ValueError(
                f"{manifest}, row {number}: id {video.id!r} is also the id of row {first_row[video.id]}; "
                "remove one of the rows, or give each its own id in an id column"
            )
        first_row[video.id] = number
        videos.append(video)
    require(bool(videos), f"{manifest}, number of rows", 0, "add a row per video below the header")
    groups = {video.group for video in videos if video.grouped}
    for video in videos:
        if not video.grouped and video.id in groups:
            raise ValueError(
                f"{manifest}, row {first_row[video.id]} has no {names['group']}, and its id {video.id!r} is the group "
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
        others keep the order of the file. Empty without further columns.
    """
    names = dict(zip(COLUMNS, COLUMNS, strict=True)) | dict(columns or {})
    rows = sorted((row.get(names["id"]) or row[names["path"]], row) for _, row in _rows(manifest, names["path"]))
    others = [name for name in rows[0][1] if name and name not in {*names.values(), *COLUMNS}]
    if not others:
        return {}
    return {"id": [each for each, _ in rows]} | {name: [row[name] for _, row in rows] for name in others}


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
    names = {name: name for name in (*COLUMNS, "split")} | dict(columns or {})
    splits: dict[str, str] = {}
    labels: dict[str, set[str]] = {split: set() for split in SPLITS}
    for number, row in _rows(manifest, names["path"]):
        if not splits:
            _check_header(manifest, row, names, asked={"split": ""}, why=" (splits.scheme is column)")
        split = row[names["split"]]
        require(
            split in SPLITS, f"{manifest}, row {number}, {names['split']}", split, f"use one of {', '.join(SPLITS)}"
        )
        splits[row.get(names["id"]) or row[names["path"]]] = split
        labels[split].add(row[names["label"]])
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


def _check_header(
    manifest: Path, row: Mapping[str, str], names: Mapping[str, str], asked: Mapping[str, str], why: str = ""
) -> None:
    for column in (*REQUIRED, *(c for c in asked if c not in REQUIRED and asked[c] != c)):
        if names[column] not in row:
            raise ValueError(
                f"{manifest} has no column {names[column]!r} for {column}{why}, only {', '.join(row)}: "
                f"add it, or give its name in the config (columns: {{{column}: NAME}})"
            )


def _rows(manifest: Path, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield rows with their number in a text editor: the line on which a row begins (the header is row 1).

    Missing cells are empty. Blanks around a cell are removed, since 'fake ' would be another class, except in the
    column `path`: names of files may have them.
    """
    if manifest.suffix == ".parquet":
        import pyarrow.parquet as pq  # heavy, and needed only here

        table = pq.read_table(manifest).to_pylist()
        for number, row in enumerate(table, 2):
            texts = {name: "" if cell is None or cell != cell else str(cell) for name, cell in row.items()}
            yield number, {name: text if name == path else text.strip() for name, text in texts.items()}
        return
    require(manifest.suffix in (".csv", ".tsv"), "manifest", str(manifest), "use a .csv, .tsv or .parquet file")
    number = 1
    try:
        with open(manifest, newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, delimiter="\t" if manifest.suffix == ".tsv" else ",", strict=True)
            header = [name.strip() for name in next(rows, [])]
            twice = sorted({name for name in header if name and header.count(name) > 1})
            if twice:
                raise ValueError(f"{manifest} has more than one column {twice[0]!r}: rename or remove one")
            number = rows.line_num + 1
            for cells in rows:
                if len(cells) > len(header):
                    raise ValueError(
                        f"{manifest}, row {number}: more cells than the header has; quote cells with commas"
                    )
                if cells:  # otherwise an empty line
                    row = dict(zip_longest(header, cells, fillvalue=""))
                    yield number, {name: text if name == path else text.strip() for name, text in row.items()}
                number = rows.line_num + 1
    except UnicodeDecodeError as error:
        raise ValueError(f"{manifest} is not UTF-8 at byte {error.start}: save it as UTF-8") from None
    except csv.Error as error:
        raise ValueError(
            f"{manifest}, row {number}, cannot be read ({error}): close each quote, and double a quote inside a cell"
        ) from None
