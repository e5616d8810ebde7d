"""Read and check the manifest: a table with a row per video.

Standard library only, since every Snakemake start runs this, also each cluster job's; a Parquet manifest needs pyarrow.
"""

import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.groups import SEPARATOR, Values, components, is_group, read_values
from clipfold.manifest.names import check_case, check_printable, plain
from clipfold.manifest.paths import find_path, is_address
from clipfold.manifest.rates import read_rate
from clipfold.manifest.segments import TIMES, Times, check_labels, read_times, segment_id
from clipfold.manifest.table import ROW, Row, read_rows
from clipfold.storage.members import path_exists

OPTIONAL = (*TIMES, "fps")
"""Columns that a manifest may have under another meaning: an empty name in the config says that it has none."""

COLUMNS = ("path", "label", "id", "group", *OPTIONAL)
REQUIRED = ("path", "label")


@dataclass(frozen=True, slots=True)
class Video:
    """A row of the manifest.

    Args:
        id: Unique name; where the manifest has no `id`, the path as written, with the times of a segment.
        path: Path of the file, relative to the working directory or absolute.
        label: Class of the video.
        group: Source recording, person or camera, which folds keep together; `source` where the manifest has none.
        grouped: Whether the manifest gives a group.
        start: Begin in seconds from the first frame, for a segment of the file; None for the begin of the file.
        end: End in seconds, excluded; None for the end of the file.
        fps: Frames per second of a folder or an archive of images; None where the manifest does not say.
        file: Name of the file, its path relative to the manifest, if the manifest names segments of it; else empty.
        values: The groups that the manifest names; `group` is the name of their component, see `groups.components`.
    """

    id: str
    path: str
    label: str
    group: str
    grouped: bool = True
    start: float | None = None
    end: float | None = None
    fps: float | None = None
    file: str = ""
    values: Values = field(default=(), compare=False)

    @property
    def source(self) -> str:
        """Name of what is probed and decoded at once: a file with all its segments, or a video by itself."""
        return self.file or self.id


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


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest.

    Args:
        videos: Its videos, in the order of the rows.
        extras: As `read_extras`.
    """

    videos: list[Video]
    extras: dict[str, list[str]]


def read_manifest(
    manifest: Path, columns: Mapping[str, str] | None = None, *, labelled: bool = True, separator: str = SEPARATOR
) -> list[Video]:
    """Read and check the videos of the manifest, see `read_whole`."""
    return read_whole(manifest, columns, labelled=labelled, separator=separator).videos


def read_whole(
    manifest: Path, columns: Mapping[str, str] | None = None, *, labelled: bool = True, separator: str = SEPARATOR
) -> Manifest:
    """Read and check the manifest.

    Args:
        manifest: Text or Parquet table, see `read_rows`; its paths are relative to it.
        columns: The file's names for `COLUMNS`, where they differ; empty for one of `OPTIONAL` that it does not have;
            `ROW` for `path` if its rows name no files: the path is then that of the manifest, the id by default
            `row 2`, as spreadsheets count.
        labelled: Whether videos must have labels, as for training; some may have none, which are only predicted.
        separator: Separates several groups in a cell, see `groups.read_values`.

    Returns:
        Its videos, whose labels, groups and ids are `plain` names, and whose paths are in the normal form in which the
        files are found; and its further columns.

    Raises:
        ValueError: The table cannot be read, a column is missing, a cell is empty, a path is one of Windows, an id
            occurs twice or is the group of others, names differ only in case, a time is none, segments with different
            labels overlap, or there are no rows; the message names the row or the column, and the remedy.
    """
    names, required = _names(columns), REQUIRED if labelled else ("path",)
    folder = "" if manifest.parent == Path() else str(manifest.parent).rstrip("/") + "/"
    videos: list[Video] = []
    rows: dict[str, int] = {}  # id -> its row
    first: dict[str, dict[str, str]] = {"id": {}, "label": {}, "group": {}}  # names -> where they stand first
    table, several, timed = str(manifest), list[str](), False
    more, known = dict[str, list[str]](), dict[str, str]()  # equal cells are one text in memory
    for number, row in read_rows(manifest, names):
        if not videos:
            _check_header(manifest, row, names, required, asked=names if labelled and columns else {})
            several = [column for column in row if is_group(column, names["group"])]
            timed = any(names.get(column) in row for column in TIMES)
            more = {column: [] for column in _further(row, names)}
        where = f"{table}, row {number}"
        path, own, label = row[names["path"]], plain(row.get(names["id"], "")), plain(row.get(names["label"], ""))
        times = read_times(where, row, names) if timed else (None, None)
        groups = read_values([row[column] for column in several], separator)
        for column, texts in (("id", (own,)), ("label", (label,)), ("group", groups)):
            for text in texts:
                if text and text not in first[column]:
                    check_printable(f"{where}, {names[column]}", text)
                    first[column][text] = f"row {number}"
        place = f"{where}, {names['path']}"
        require(bool(path), place, path, "fill in the cell")
        name = own or _id(place, path, times)
        video = Video(
            id=name,
            path=table if names["path"] == ROW else find_path(place, folder, path),
            label=label,
            group=groups[0] if groups else name,
            grouped=bool(groups),
            values=groups,
            start=times[0],
            end=times[1],
            fps=read_rate(f"{where}, {names['fps']}", row.get(names["fps"], "")) if "fps" in names else None,
        )
        if name in rows:
            raise ValueError(
                f"{where}: id {name!r} is also the id of row {rows[name]}; "
                "remove one of the rows, or give each its own id in an id column"
            )
        rows[name] = number
        videos.append(video)
        for column, cells in more.items():
            cells.append(known.setdefault(row[column], row[column]))
    require(bool(videos), f"{manifest}, number of rows", 0, "add a row per video below the header")
    for column, places in first.items():
        check_case(f"{manifest}: {names[column]}", places.items())
    if any(len(video.values) > 1 for video in videos):
        # A row that is only predicted joins no groups of others: it may be of any fold.
        joined = components(video.values for video in videos if video.label or not labelled)
        videos = [replace(video, group=joined.get(video.group, video.group)) for video in videos]
    videos = _with_files(videos, folder)
    for video in videos:
        if not video.grouped and video.group in first["group"]:
            what = "file" if video.file else "id"
            raise ValueError(
                f"{manifest}, row {rows[video.id]} has no {names['group']}, and its {what} {video.group!r} is the "
                "group of other rows: fill in the cell, or rename the group"
            )
    if labelled:
        _check_labelled(manifest, names["label"], videos)
        parts = (
            (video.file, rows[video.id], video.label, (video.start, video.end))
            for video in videos
            if video.file and video.label
        )
        check_labels(str(manifest), parts)
    return Manifest(videos, _extras([video.id for video in videos], more))


def _check_labelled(manifest: Path, column: str, videos: Sequence[Video]) -> None:
    """Check that most rows have a label: a few may be there only to be predicted."""
    lacking = sum(not video.label for video in videos)
    require(
        lacking <= len(videos) / 2,
        f"{manifest}, rows without {column}",
        lacking,
        f"that is most of {len(videos)}: fill in the cells, or name a table of videos to predict in predict.manifest",
    )


def _with_files(videos: Sequence[Video], folder: str) -> list[Video]:
    """Name the files of which there are segments, and group their rows by them."""
    cut = {video.path for video in videos if video.start is not None or video.end is not None}
    if not cut:
        return list(videos)
    named = {path: unicodedata.normalize("NFC", path.removeprefix(folder)) for path in cut}
    return [
        replace(video, file=named[video.path], group=video.group if video.grouped else named[video.path])
        if video.path in cut
        else video
        for video in videos
    ]


def read_extras(manifest: Path, columns: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Read the further columns of a checked manifest: all that are not in `COLUMNS`.

    Args:
        manifest: See `read_whole`.
        columns: See `read_whole`.

    Returns:
        Column -> text of each video, empty where the cell is empty. Rows are sorted by `id`, the first column; the
        others keep the order of the file. A column that is named as one of `COLUMNS`, but is none of them because
        `columns` renames that, is called `NAME (manifest)`. Empty without further columns.
    """
    names, ids, more = _names(columns), list[str](), dict[str, list[str]]()
    for _, row in read_rows(manifest, names):
        more = more or {column: [] for column in _further(row, names)}
        if not more:
            return {}
        ids.append(_id_of(row, names))
        for column, cells in more.items():
            cells.append(row[column])
    return _extras(ids, more)


def _further(row: Row, names: Mapping[str, str]) -> list[str]:
    """List the columns of a row that are none of `COLUMNS`."""
    taken = {name for column, name in names.items() if column != "fps"}  # a fact of video files, too
    return [name for name in row if name not in taken and not is_group(name, names["group"])]


def _extras(ids: Sequence[str], more: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Name further columns, and sort their cells by the ids of the rows."""
    order = sorted(range(len(ids)), key=ids.__getitem__) if more else []
    columns = {"id": ids} if more else {}
    columns |= {f"{name} (manifest)" if name in COLUMNS else name: cells for name, cells in more.items()}
    return {name: [cells[at] for at in order] for name, cells in columns.items()}


SPLITS = ("train", "val", "test")


def read_splits(manifest: Path, columns: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read the manifest's column `split`, for the scheme `column`.

    Args:
        manifest: See `read_whole`, which has checked it.
        columns: See `read_whole`; may also rename `split`.

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
        if not plain(row[names["label"]]):
            continue  # it is only predicted
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


def missing_files(videos: Iterable[Video], folder: Path) -> list[str]:
    """List the paths, relative to a folder, of videos that are not there, but for addresses in storage."""
    paths = dict.fromkeys(video.path for video in videos if not is_address(video.path))
    return [path for path in paths if not path_exists(os.path.join(folder, path))]


def _names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return column -> its name in the manifest, without those that it is said not to have.

    Raises:
        ValueError: Two columns have the same name.
    """
    given = {column: name for column, name in (columns or {}).items() if name}
    # A column named `start`, say, that is given as another is none of a segment.
    usual = [c for c in COLUMNS if c not in OPTIONAL or (c not in (columns or {}) and c not in given.values())]
    names = dict(zip(usual, usual, strict=True)) | {c: n for c, n in given.items() if c in COLUMNS}
    column_of: dict[str, str] = {}
    for column, name in {**names, **given}.items():
        other = column_of.setdefault(name, column)
        require(other == column, f"columns.{column}", name, f"this is the column for {other} too: name another")
    return names


def _id(where: str, path: str, times: Times) -> str:
    """Return the id of a row without one: its path as written, in Unicode's normal form C, with a segment's times."""
    name = segment_id(unicodedata.normalize("NFC", path), times)
    check_printable(f"{where} (the id, as there is no other)", name)
    return name


def _id_of(row: Row, names: Mapping[str, str]) -> str:
    times = read_times("", row, names)
    return plain(row.get(names["id"], "")) or segment_id(unicodedata.normalize("NFC", row[names["path"]]), times)


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
