"""Find the videos that a user names: files, folders, tables, lists on standard input."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from clipfold.checks import require
from clipfold.image.frames import SUFFIXES as IMAGES
from clipfold.image.frames import is_image
from clipfold.manifest.rates import rates_of
from clipfold.manifest.read import read_manifest
from clipfold.manifest.suffixes import VIDEOS
from clipfold.manifest.table import SUFFIXES as TABLES
from clipfold.video.parts import Segment, Stated


@dataclass(slots=True)
class Sources:
    """Videos to predict.

    Args:
        paths: id -> file.
        labels: id -> label, of the videos whose label a table gives.
        groups: id -> group, of the videos whose group a table gives.
        segments: id -> file, start and end in seconds, of rows whose file has segments.
        rates: source (the file of segments, else the id) -> frames per second, of folders for which a table gives them.
    """

    paths: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def stated(self) -> Stated:
        """What tables state of the videos, beside where they are."""
        return Stated(self.segments, self.rates)

    def add(self, paths: Mapping[str, str]) -> None:
        """Add videos, of which some may be there already.

        Raises:
            ValueError: Another video has the same id, or a table could not hold it.
        """
        for name, path in paths.items():
            other = self.paths.setdefault(name, path)
            require(other == path, f"id of {path}", name, f"{other} has it, too: give each its own in a column id")
            require(name.isascii() or _is_utf8(name), "video", name, "its name is not UTF-8: rename it")


def find_videos(names: Iterable[str], stdin: IO[str], modality: str = "video") -> Sources:
    """Find the videos that are named. A file that is named twice is taken once; its id is its path.

    Args:
        names: Each a video, a folder (with all below it, but no links to folders), a table as the workflow reads it, in
            which the label may be missing, or `-`: one path in each line of `stdin`.
        stdin: Where `-` reads.
        modality: `video`, or `image`, for which folders hold images. Where no videos are below a folder, it and the
            folders below it are videos themselves: those that hold images, their frames.

    Raises:
        ValueError: A folder has none, a table cannot be read, or two videos have one id.
    """
    found = Sources()
    for name in names:
        if name == "-":
            lines = (line.rstrip("\r\n") for line in stdin)
            found.add({line: line for line in lines if line})
        elif os.path.isdir(name):
            suffixes = VIDEOS if modality == "video" else IMAGES
            inside = _below(Path(name), suffixes) or (_frames_below(Path(name)) if modality == "video" else [])
            require(bool(inside), "folder", name, f"no {modality}s below it: {', '.join(sorted(suffixes))}")
            found.add({path: path for path in inside})
        elif name.lower().endswith(TABLES):
            videos = read_manifest(Path(name), labelled=False)
            found.add({video.id: video.path for video in videos})
            found.labels |= {video.id: video.label for video in videos if video.label}
            found.groups |= {video.id: video.group for video in videos if video.grouped or video.file}
            base = os.path.dirname(name)
            found.segments |= {v.id: (os.path.join(base, v.file), v.start, v.end) for v in videos if v.file}
            files = {v.source: os.path.join(base, v.file) if v.file else v.id for v in videos}
            found.rates |= {files[source]: rate for source, rate in rates_of(videos).items()}
        else:
            found.add({name: name})  # a missing file gets its status like any other that cannot be used
    return found


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _frames_below(folder: Path) -> list[str]:
    return sorted(place for place, _, files in os.walk(folder) if any(map(is_image, files)))


def _below(folder: Path, suffixes: Collection[str]) -> list[str]:
    return sorted(
        os.path.join(place, file)
        for place, _, files in os.walk(folder)
        for file in files
        if os.path.splitext(file)[1].lower() in suffixes
    )
