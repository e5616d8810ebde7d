"""Open files, and members of tar files in place: `shard-000.tar/sample.mp4`. Standard library only.

A member is read as a range of bytes of its archive: nothing is unpacked, and nothing else is opened.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, cast

from clipfold.status import Status, Unusable

_TAR = re.compile(r"\.tar(?=/)", re.I)
_CLOSED = re.compile(r"\.(tar\.(gz|bz2|xz|zst)|tgz|zip|7z)(?=/)", re.I)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a tar file.

    Args:
        name: its name in the archive, without a leading `./`.
        offset: place of its first byte in the archive.
        size: its bytes.
        kind: `file`, `folder`, `link`, or `other`: a device, or a file with holes.
    """

    name: str
    offset: int
    size: int
    kind: str


class Range(io.RawIOBase):
    """A range of bytes of a file, as a file of its own.

    Args:
        file: the file; closed with this one.
        offset: place of the first byte.
        size: number of bytes.
    """

    def __init__(self, file: io.FileIO, offset: int, size: int) -> None:
        super().__init__()
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative place {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer is wider
        count = max(0, min(len(buffer), self._size - self._at))
        found = os.pread(self._file.fileno(), count, self._offset + self._at)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        self._file.close()
        super().close()


def split_member(path: str) -> tuple[str, str] | None:
    """Split the path of a member of a tar file into archive and name; None for any other path."""
    for found in _TAR.finditer(path):
        if os.path.isfile(path[: found.end()]):
            return path[: found.end()], path[found.end() + 1 :]
    return None


def path_exists(path: str) -> bool:
    """Check whether a file or a folder exists, or the archive that a member is in."""
    return os.path.exists(path) or split_member(path) is not None


def open_source(path: str) -> BinaryIO:
    """Open a file, or a member of a tar file in place. It is not buffered.

    Raises:
        Unusable: there is no such member, or it cannot be used.
        OSError: there is no such file, or it cannot be opened.
    """
    split = split_member(path)
    if split is None:
        return cast(BinaryIO, open(path, "rb", buffering=0))
    member = find_member(*split)
    return cast(BinaryIO, Range(open(split[0], "rb", buffering=0), member.offset, member.size))


def find_member(archive: str, name: str) -> Member:
    """Find a member of a tar file that can be opened in place.

    Raises:
        Unusable: there is none or more than one of that name, it is no regular file, or the archive is damaged.
    """
    by_name, damage = _listed(archive)
    found = by_name.get(name, [])
    if not found and damage:
        raise damage
    if not found:
        raise Unusable(Status.MISSING, f"{os.path.basename(archive)} has no member {name!r}")
    if len(found) > 1:
        raise Unusable(Status.UNREADABLE, f"{os.path.basename(archive)} has {len(found)} members {name!r}")
    (member,) = found
    check_regular(member)
    if member.offset + member.size > os.path.getsize(archive):
        raise Unusable(Status.TRUNCATED, f"{os.path.basename(archive)} ends inside of it")
    return member


def check_regular(member: Member) -> None:
    """Check that a member is a file whose bytes lie in the archive.

    Raises:
        Unusable: `refused`.
    """
    if member.kind != "file":
        what = {"link": "a link", "folder": "a folder"}.get(member.kind, "a device, or a file with holes")
        raise Unusable(Status.REFUSED, f"{member.name!r} of the archive is {what}, not a regular file")


def closed_archive(path: str) -> str:
    """Return the archive in a path that cannot be opened in place, such as a compressed one; "" if there is none."""
    for found in _CLOSED.finditer(path):
        if os.path.isfile(path[: found.end()]):
            return path[: found.end()]
    return ""


def tar_members(archive: str) -> tuple[list[Member], Unusable | None]:
    """List the members of a tar file. Only its headers are read, once while it stays the same.

    Returns:
        The members, and what is wrong with the archive behind the last of them, if anything is.

    Raises:
        Unusable: it is no tar file that is stored plainly.
        OSError: it cannot be read.
    """
    by_name, damage = _listed(archive)
    return [member for members in by_name.values() for member in members], damage


_Listed = tuple[dict[str, list[Member]], Unusable | None]


def _listed(archive: str) -> _Listed:
    facts = os.stat(archive)
    if not stat.S_ISREG(facts.st_mode):
        raise Unusable(Status.REFUSED, "not a regular file")
    return _list(archive, facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=8)
def _list(archive: str, size: int, mtime_ns: int, inode: int) -> _Listed:
    found: dict[str, list[Member]] = {}
    damage = None
    try:
        with tarfile.open(archive, "r:") as tar:
            try:
                for member in _members(tar):
                    found.setdefault(member.name, []).append(member)
            except (tarfile.TarError, *_DAMAGE) as error:
                reason = f"the archive ends, or is damaged, after {len(found)} members: {error}"
                damage = Unusable(Status.TRUNCATED, reason)
            end = tar.offset
    except (tarfile.TarError, *_DAMAGE) as error:
        raise Unusable(Status.UNREADABLE, f"not a plain tar file, or damaged: {error}") from None
    if not damage:  # where a header is damaged, tarfile stops without a word
        with open(archive, "rb") as file:
            file.seek(end)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                damage = Unusable(Status.CORRUPT, f"the archive is damaged at byte {end}, after {len(found)} members")
    return found, damage


_DAMAGE = (EOFError, ValueError, OverflowError, RecursionError, MemoryError)


def _members(tar: tarfile.TarFile) -> Iterator[Member]:
    while (entry := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # it keeps all, each of half a kilobyte
        kind = "other"
        if entry.isreg() and not entry.issparse():
            kind = "file"
        elif entry.isdir():
            kind = "folder"
        elif entry.issym() or entry.islnk():
            kind = "link"
        yield Member(entry.name.removeprefix("./"), entry.offset_data, entry.size, kind)
