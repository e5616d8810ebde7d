"""A bundle on disk: a folder, or one file that holds it. Standard library only.

Bundles come from strangers. What is read is bounded first, and no file is used that the description does not list with
its SHA-256. The one file is a ZIP archive without compression, so that it cannot unpack to more than it has.
"""

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from clipfold.checks import require
from clipfold.delivery.description import MEMBERS, Description, check_file, parse_description
from clipfold.storage.replace import create, replacing

DESCRIPTION = "bundle.json"
CARD = "README.md"
SEEN = "training.txt"
"""Beginnings of the digests of the training videos, one in each line."""
REFERENCE = "reference.parquet"
"""Table of the training videos that the bundle remembers."""
FACE_MODEL = "face.onnx"
"""The detector of faces, if a view shows one."""
ENCODERS = "encoders"
"""Folder of the weights of frozen encoders."""
SUFFIX = ".clipfold"

DESCRIPTION_BYTES = 1 << 24
DIRECTORY_BYTES = 1 << 22
"""Most bytes of the directory of an archive: hundreds for each file."""

_CHUNK = 1 << 20

Members = Mapping[str, Callable[[], IO[bytes]]]
"""Name -> opens the file for reading."""


class Source:
    """A bundle that is being read; nothing but its description has been checked yet.

    Args:
        path: The bundle, for messages.
        members: Its files.

    Attributes:
        description: Its `bundle.json`.
        id: First 16 hexadecimal digits of the SHA-256 of `bundle.json`, which in turn holds that of every file.

    Raises:
        ValueError: The description is missing or wrong, or lists other files than there are.
    """

    def __init__(self, path: Path, members: Members) -> None:
        self.path = path
        self._members = members
        if DESCRIPTION not in members:
            raise ValueError(f"{path} has no {DESCRIPTION}: use a bundle, a folder or a file that ends in {SUFFIX}")
        where, self._content = f"{path}: {DESCRIPTION}", b""
        for chunk in self._chunks(DESCRIPTION):
            self._content += chunk
            require(len(self._content) <= DESCRIPTION_BYTES, where, f"over {DESCRIPTION_BYTES} bytes", "make it again")
        self.description: Description = parse_description(self._content, where)
        self.id = hashlib.sha256(self._content).hexdigest()[:16]
        listed = {DESCRIPTION, *self.description["files"]}
        for names, state in ((members.keys() - listed, "not listed in"), (listed - members.keys(), "missing, but in")):
            if names:
                some = ", ".join(sorted(names)[:3])
                raise ValueError(f"{path}: {some}: {state} {DESCRIPTION}: get the bundle again, or make it again")

    def check(self) -> None:
        """Compare all files with their SHA-256.

        Raises:
            ValueError: One differs.
        """
        for name in self._members:
            self._copy(name, lambda chunk: None)

    def unpack(self, folder: Path) -> None:
        """Write all files into an empty folder.

        Raises:
            ValueError: One differs from its SHA-256.
        """
        for name in self._members:
            target = folder / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                file = create(target)
            except (FileExistsError, NotADirectoryError):
                raise ValueError(f"{self.path}: {name} takes the place of another file: make it again") from None
            with file:
                self._copy(name, file.write)

    def pack(self, path: Path) -> None:
        """Write all files into one; the same bundle always gives the same bytes.

        Raises:
            ValueError: A file differs from its SHA-256.
        """
        with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
            for name in sorted(self._members):
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                with archive.open(info, "w", force_zip64=True) as member:
                    self._copy(name, member.write)

    def _copy(self, name: str, write: Callable[[bytes], Any]) -> None:
        if name == DESCRIPTION:  # the bytes that were checked, even if the file has changed since
            write(self._content)
            return
        digest = hashlib.sha256()
        for chunk in self._chunks(name):
            digest.update(chunk)
            write(chunk)
        if digest.hexdigest() != self.description["files"][name]:
            raise ValueError(f"{self.path}: {name} differs from its SHA-256 in {DESCRIPTION}: get the bundle again")

    def _chunks(self, name: str) -> Iterator[bytes]:
        with _damaged(self.path), closing(self._members[name]()) as file:
            while chunk := file.read(_CHUNK):
                yield chunk


@contextmanager
def reading(path: str | Path) -> Iterator[Source]:
    """Read a bundle: a folder, or a file with the suffix `.clipfold`.

    Raises:
        ValueError: There is none, or it holds what no bundle holds.
    """
    path = Path(path)
    require(path.exists(), "bundle", str(path), "there is no such file or folder")
    if path.is_dir():
        yield Source(path, _in_folder(path))
        return
    with open_regular(path) as file:
        with _damaged(path):
            archive = zipfile.ZipFile(_Bounded(file.fileno(), closefd=False))
        yield Source(path, _in_archive(path, archive))


def find_bundle(path: str | Path) -> Path:
    """Return a bundle: the path itself or, of the folder of a run's bundle, the file in it."""
    inside = sorted(Path(path).glob(f"*{SUFFIX}")) if not Path(path, DESCRIPTION).is_file() else []
    return inside[0] if len(inside) == 1 else Path(path)


def read_description(path: str | Path) -> Description:
    """Read the description of a bundle; other files are only compared by name.

    Raises:
        ValueError: It is no bundle, or holds what no bundle holds.
    """
    with reading(path) as source:
        return source.description


@contextmanager
def open_bundle(path: str | Path) -> Iterator[Path]:
    """Check all files of a bundle and give a folder with them.

    Returns:
        The folder itself, to which nobody else may write meanwhile; of a file, a temporary folder.

    Raises:
        ValueError: It is no bundle, is damaged, or holds what no bundle holds.
    """
    with reading(path) as source:
        if source.path.is_dir():
            source.check()
            yield source.path
            return
        with TemporaryDirectory(prefix="clipfold-") as folder:
            source.unpack(Path(folder))
            yield Path(folder)


def pack(bundle: str | Path, path: str | Path) -> None:
    """Write a bundle as one file; the same bundle always gives the same bytes.

    Raises:
        ValueError: It is no bundle, is damaged, or holds what no bundle holds.
    """
    with reading(bundle) as source:
        source.pack(Path(path))


def listed(folder: Path) -> dict[str, str]:
    """Hash all files of a folder for `files` of its description; returns name -> SHA-256."""
    found = {}
    for name, opened in sorted(_in_folder(folder).items()):
        if name != DESCRIPTION:
            with closing(opened()) as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # of any file
    return found


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `bundle.json`.

    Raises:
        ValueError: A reader would refuse it.
    """
    content = (json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    parse_description(content, f"{folder / DESCRIPTION}")
    with replacing(folder / DESCRIPTION) as file:
        file.write(content)


def open_regular(path: Path, flags: int = 0) -> IO[bytes]:
    """Open a regular file for reading; never waits for a pipe's writer.

    Args:
        path: The file.
        flags: Further flags of `os.open`.

    Raises:
        ValueError: It is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{path} is no regular file: get the bundle again")
    return os.fdopen(handle, "rb", buffering=0)


def _in_folder(folder: Path) -> Members:
    """Find the files below a folder, which holds no links and nothing special."""
    found: dict[str, Callable[[], IO[bytes]]] = {}
    pending, seen = [""], 0
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                seen += 1
                require(seen <= MEMBERS, f"{folder}: files", f"over {MEMBERS}", "use the folder of a bundle")
                name = f"{prefix}{entry.name}"
                check_file(f"{folder}: file", name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                    continue
                regular = entry.is_file(follow_symlinks=False)
                require(regular, f"{folder}: file", name, "it is a link or no file: replace it by a copy")
                found[name] = partial(open_regular, folder / name, os.O_NOFOLLOW)
    return found


def _in_archive(path: Path, archive: zipfile.ZipFile) -> Members:
    """List the members of an archive, which are stored as they are and stay within a folder."""
    entries = archive.infolist()
    require(len(entries) <= MEMBERS, f"{path}: files", len(entries), f"a bundle holds at most {MEMBERS}")
    found: dict[str, Callable[[], IO[bytes]]] = {}
    for entry in entries:
        name = entry.orig_filename  # `filename` ends at a zero byte
        check_file(f"{path}: file", name.removesuffix("/"))
        if entry.is_dir():  # as archives made by hand have them; made anew where a file needs them
            continue
        kind = stat.S_IFMT(entry.external_attr >> 16)
        require(kind in (0, stat.S_IFREG), f"{path}: file", name, "it is a link or no file: pack the bundle again")
        require(name not in found, f"{path}: file", name, "it is there twice: pack the bundle again")
        require(not entry.flag_bits & 1, f"{path}: file", name, "it is encrypted: pack the bundle without a password")
        stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
        require(stored, f"{path}: file", name, "it is compressed: pack the bundle without compression")
        found[name] = partial(archive.open, entry)
    unpacked, size = sum(entry.file_size for entry in entries), os.stat(path).st_size
    require(unpacked <= size, f"{path}: files", f"{unpacked} bytes", f"the bundle has only {size}: get it again")
    return found


class _Bounded(io.FileIO):
    """A file that is not read in large pieces: `zipfile` reads a directory, of any size that it claims, as one."""

    def read(self, size: int | None = -1) -> bytes:
        require((size or 0) <= DIRECTORY_BYTES, "its directory", f"{size} bytes", f"at most {DIRECTORY_BYTES} are read")
        return super().read(size)


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Turn whatever a damaged archive raises into an error for users."""
    try:
        yield
    except Exception as error:  # headers may hold anything, and so raise anything
        raise ValueError(f"{path} is no bundle, or damaged ({error}): get it again") from error
