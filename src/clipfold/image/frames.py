"""List and read the images of a folder, or of a zip or tar file, as the frames of a video. Standard library only.

Nothing outside of the folder or archive is opened, and nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clipfold.manifest.suffixes import PICTURES
from clipfold.status import Status, Unusable
from clipfold.storage.members import Member, check_regular, tar_members

SUFFIXES = PICTURES | {".gif"}
"""Suffixes of the files of a folder or archive that are its frames."""

MOST_BYTES = 1 << 30
"""Most bytes of one image, and of all images of an archive that is less than a hundredth of that."""

_BOMB = 100  # times its own size that an archive may hold: images hardly compress a second time


@dataclass(frozen=True, slots=True)
class _Entry:
    """An image.

    Args:
        name: its name, without folders.
        size: its bytes.
        place: where it is: a path, the name of a member, or a member.
    """

    name: str
    size: int
    place: str | zipfile.ZipInfo | Member


class Frames(ABC):
    """The images of a folder or archive, open for reading.

    Args:
        kind: `folder`, `zip` or `tar`.
        entries: the images, in any order.
        ignored: names of the other files; hidden ones are left out.

    Attributes:
        names: names of the images in natural order, `img2` before `img10`.
        ignored: as above.

    Raises:
        Unusable: there are no images, or two have the same name.
    """

    def __init__(self, kind: str, entries: Iterable[_Entry], ignored: Sequence[str]) -> None:
        self.kind = kind
        self.ignored = ignored
        self._entries = sorted(entries, key=lambda entry: natural(entry.name))
        self.names = [entry.name for entry in self._entries]
        if not self.names:
            others = f"; others: {len(ignored)}, such as {ignored[0]!r}" if ignored else ""
            raise Unusable(Status.UNREADABLE, f"a {_NAMES[kind]} without images{others}")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise Unusable(Status.UNREADABLE, f"the {_NAMES[kind]} has several images {twice[0]!r}")

    def __len__(self) -> int:
        return len(self._entries)

    def size(self, index: int) -> int:
        """Return the bytes of an image, as the folder or archive says."""
        return self._entries[index].size

    def read(self, index: int) -> bytes:
        """Read the bytes of an image.

        Raises:
            Unusable: it is too large, no regular file, or damaged in the archive.
        """
        entry = self._entries[index]
        if entry.size > MOST_BYTES:
            raise Unusable(Status.TOO_LARGE, f"image {entry.name!r} has {entry.size} bytes, the limit is {MOST_BYTES}")
        return self._read(entry)

    @abstractmethod
    def _read(self, entry: _Entry) -> bytes:
        """Read the bytes of an entry, at most `MOST_BYTES`."""


_NAMES = {"folder": "folder", "zip": "zip file", "tar": "tar file"}


def natural(name: str) -> tuple[list[Any], str]:
    """Return a key that sorts numbers in names by their value.

    >>> sorted(["img10.png", "img2.png", "img02.png", "b.png"], key=natural)
    ['b.png', 'img02.png', 'img2.png', 'img10.png']
    """
    parts: list[Any] = re.split("([0-9]+)", name)
    parts[1::2] = [(len(digits := part.lstrip("0")), digits) for part in parts[1::2]]  # of any length, as `int` is not
    return parts, name


def is_image(name: str) -> bool:
    """Check whether a file is taken as a frame, by its name."""
    return not _hidden(name) and os.path.splitext(name)[1].lower() in SUFFIXES


def _hidden(name: str) -> bool:
    """Check whether a file was made by a system, not by people."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


@contextmanager
def open_frames(path: str) -> Iterator[Frames]:
    """Open a folder, a zip file or a tar file.

    Raises:
        Unusable: it cannot be read, holds no images, or holds what it must not: names or links that lead out of it,
            several images of one name, encrypted ones, or far more than its own size.
        OSError: the machine failed.
    """
    if os.path.isdir(path):
        yield _Folder(path)
        return
    if not os.path.isfile(path):
        raise Unusable(Status.REFUSED, "not a regular file")
    with open(path, "rb") as file:
        if not path.lower().endswith(".zip"):
            yield _Tar(file, path)
            return
        with _damage("the zip file"):
            archive = zipfile.ZipFile(file)
        with archive:
            yield _Zip(archive, os.path.getsize(path))


class _Folder(Frames):
    def __init__(self, path: str) -> None:
        self._root = os.path.realpath(path)
        entries, ignored = [], []
        with os.scandir(path) as found:
            for entry in found:
                if is_image(entry.name):
                    entries.append(self._entry(entry))
                elif not _hidden(entry.name):
                    ignored.append(entry.name)
        super().__init__("folder", entries, sorted(ignored))

    def _entry(self, entry: os.DirEntry[str]) -> _Entry:
        place = os.path.join(self._root, entry.name)
        if entry.is_symlink():
            place = os.path.realpath(place)
            if os.path.dirname(place) != self._root:
                raise Unusable(Status.REFUSED, f"image {entry.name!r} is a link out of the folder")
        try:
            facts = os.lstat(place)
        except FileNotFoundError:
            raise Unusable(Status.REFUSED, f"image {entry.name!r} is a link to nothing") from None
        if not stat.S_ISREG(facts.st_mode):
            raise Unusable(Status.REFUSED, f"image {entry.name!r} is no regular file")
        return _Entry(entry.name, facts.st_size, place)

    def _read(self, entry: _Entry) -> bytes:
        assert isinstance(entry.place, str)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(entry.place, "rb", opener=lambda path, _: os.open(path, flags)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unusable(Status.REFUSED, f"image {entry.name!r} is no regular file")
            return file.read(entry.size)


class _Zip(Frames):
    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        infos = [info for info in archive.infolist() if not info.is_dir()]
        entries, ignored = _inside([(info.filename, info.file_size, info) for info in infos], size, "zip file")
        for entry in entries:
            info = entry.place
            assert isinstance(info, zipfile.ZipInfo)
            if info.flag_bits & 1:
                raise Unusable(
                    Status.UNREADABLE, f"image {entry.name!r} is encrypted: pack the images without a password"
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                raise Unusable(Status.REFUSED, f"image {entry.name!r} of the archive is a link, not a regular file")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                reason = f"image {entry.name!r} is compressed by method {info.compress_type}: store or deflate it"
                raise Unusable(Status.UNREADABLE, reason)
        super().__init__("zip", entries, ignored)

    def _read(self, entry: _Entry) -> bytes:
        assert isinstance(entry.place, zipfile.ZipInfo)
        with _damage(f"image {entry.name!r} of the zip file", Status.CORRUPT), self._archive.open(entry.place) as file:
            data = file.read(entry.size)
        if len(data) != entry.size:
            reason = f"image {entry.name!r} has {len(data)} bytes, and the zip file says {entry.size}"
            raise Unusable(Status.CORRUPT, reason)
        return data


class _Tar(Frames):
    def __init__(self, file: io.BufferedReader, path: str) -> None:
        self._file = file
        members, damage = tar_members(path)
        if damage:
            raise damage
        files = [(member.name, member.size, member) for member in members if member.kind != "folder"]
        entries, ignored = _inside(files, os.path.getsize(path), "tar file")
        for entry in entries:
            assert isinstance(entry.place, Member)
            check_regular(entry.place)
        super().__init__("tar", entries, ignored)

    def _read(self, entry: _Entry) -> bytes:
        assert isinstance(entry.place, Member)
        data = os.pread(self._file.fileno(), entry.size, entry.place.offset)
        if len(data) != entry.size:
            raise Unusable(Status.TRUNCATED, f"the archive ends inside of image {entry.name!r}")
        return data


def _inside(
    files: Sequence[tuple[str, int, zipfile.ZipInfo | Member]], size: int, kind: str
) -> tuple[list[_Entry], list[str]]:
    """Choose the images among the files of an archive of `size` bytes; returns them and the names of the others.

    Raises:
        Unusable: a name leads out of the archive, the images are in several folders, or it is a bomb.
    """
    entries, ignored, folders = [], [], set()
    for path, length, place in files:
        *parents, name = path.replace("\\", "/").split("/")
        parents = [part for part in parents if part != "."]
        if ".." in parents or (parents and (parents[0] == "" or re.fullmatch("[A-Za-z]:", parents[0]))):
            raise Unusable(Status.REFUSED, f"{path!r} of the {kind} leads out of it")
        if any(map(_hidden, [*parents, name])):
            continue
        if is_image(name):
            entries.append(_Entry(name, length, place))
            folders.add("/".join(parents))
        else:
            ignored.append(path)
    if len(folders) > 1:
        several = ", ".join(map(repr, sorted(folders)[:3]))
        raise Unusable(Status.UNREADABLE, f"the {kind} has images in {len(folders)} folders ({several}): pack one each")
    if sum(entry.size for entry in entries) > max(MOST_BYTES, _BOMB * size):
        raise Unusable(Status.TOO_LARGE, f"a bomb: {size} bytes of {kind} are to hold more than {_BOMB} times as many")
    return entries, ignored


@contextmanager
def _damage(what: str, status: Status = Status.UNREADABLE) -> Iterator[None]:
    """Turn whatever reading a damaged zip file raises into a status."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise Unusable(status, f"{what} is damaged or of a kind that cannot be read: {error}") from None
