"""Say what a path of the manifest is, and tell it from others by size, time and content. Standard library only."""

import hashlib
import io
import os
from stat import S_ISDIR, S_ISREG
from typing import Literal

from clipfold.image.frames import MOST_BYTES, is_image, open_frames
from clipfold.manifest.suffixes import ARCHIVES
from clipfold.status import Status, Unusable
from clipfold.storage.hashing import stable_hash
from clipfold.storage.members import find_member, open_source, split_member

Kind = Literal["file", "frames"]


def kind_of(path: str) -> Kind:
    """Say what a path is: `frames`, a folder or an archive of images, or `file`, also a member of a tar file."""
    folder = path.lower().endswith(ARCHIVES) or os.path.isdir(path)
    return "frames" if folder else "file"


def stamp_of(path: str) -> str:
    """Return a text that changes when a source is written to; "" if there is none, or if it cannot be looked at.

    Of a file, it is size and time of modification in ns. Of a folder of frames, it is the size of its images and a hash
    of their names, sizes and times: the folder's own time does not show that a file in it changed. Of a member of a tar
    file, it is `tar` and the stamp of the archive, whose members need not be listed.
    """
    try:
        if split := split_member(path):
            return f"tar-{_of_file(os.stat(split[0]))}"
        facts = os.stat(path)
        if S_ISDIR(facts.st_mode):
            images = _images(path)
            seen = "".join(f"{name}\0{each.st_size}\0{each.st_mtime_ns}\0" for name, each in images)
            return f"{sum(each.st_size for _, each in images)}-{stable_hash(seen)}"
        return _of_file(facts) if S_ISREG(facts.st_mode) else ""
    except (OSError, ValueError):  # opening it says why
        return ""


def size_of(path: str) -> int:
    """Return the bytes of a source: of a folder, those of its images; 0 if there is none."""
    try:
        if split := split_member(path):
            return find_member(*split).size
        if os.path.isdir(path):
            return sum(each.st_size for _, each in _images(path))
        return os.path.getsize(path)
    except (OSError, ValueError, Unusable):  # opening it says why
        return 0


def file_size(path: str) -> int | None:
    """Return the bytes of a file; None for anything else, and where there is none."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return facts.st_size if S_ISREG(facts.st_mode) else None


def _of_file(facts: os.stat_result) -> str:
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _images(folder: str) -> list[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        return sorted((each.name, each.stat(follow_symlinks=False)) for each in found if is_image(each.name))


def source_digest(path: str) -> str:
    """Hash the content of a source with BLAKE2b to 32 hexadecimal digits: of frames, names and bytes of the images.

    Raises:
        OSError: it cannot be read.
        Unusable: it holds what it must not, or is damaged.
    """
    digest = hashlib.blake2b(digest_size=16)  # as `file_digest`
    if kind_of(path) == "frames":
        with open_frames(path) as frames:
            for index, name in enumerate(frames.names):
                data = frames.read(index)
                digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape"))
                digest.update(data)
        return digest.hexdigest()
    with open_source(path) as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def read_file(path: str) -> bytes:
    """Read a file, or a member of a tar file, of at most `MOST_BYTES`.

    Raises:
        OSError: it cannot be read.
        Unusable: it is too large, or a member that cannot be used.
    """
    with io.BufferedReader(open_source(path)) as file:  # type: ignore[type-var]  # a raw file, whatever its class
        size = file.seek(0, os.SEEK_END)
        if size > MOST_BYTES:
            raise Unusable(Status.TOO_LARGE, f"{size} bytes, the limit is {MOST_BYTES}")
        file.seek(0)
        return file.read(size)  # a number to `read` is also the memory that it takes
