"""Say what a path of the manifest is, and tell it from others by size, time and content. Standard library only."""

import hashlib
import os
from typing import Literal

from clipfold.image.frames import is_image, open_frames
from clipfold.storage.hashing import stable_hash
from clipfold.storage.members import find_member, open_source, split_member

Kind = Literal["file", "frames"]

ARCHIVES = (".zip", ".tar")
"""Suffixes of archives of frames."""


def kind_of(path: str) -> Kind:
    """Say what a path is: `frames`, a folder or an archive of images, or `file`, also a member of a tar file."""
    folder = path.lower().endswith(ARCHIVES) or os.path.isdir(path)
    return "frames" if folder else "file"


def stat_source(path: str) -> tuple[int, int] | None:
    """Return the size in bytes of a source and a number that changes when it is written to; None if there is none.

    Of a file, the number is its time of modification in ns. Of a folder of frames, the size is that of its images, and
    the number a hash of their names, sizes and times, as the folder's own time does not show that a file changed. Of a
    member of a tar file, the time is that of the archive.

    Raises:
        OSError: it cannot be looked at.
        Unusable: it is a member that cannot be used.
    """
    split = split_member(path)
    if split:
        return find_member(*split).size, os.stat(split[0]).st_mtime_ns
    if os.path.isdir(path):
        names = sorted(entry.name for entry in os.scandir(path) if is_image(entry.name))
        facts = [(name, os.stat(os.path.join(path, name), follow_symlinks=False)) for name in names]
        seen = "".join(f"{name}\0{each.st_size}\0{each.st_mtime_ns}\0" for name, each in facts)
        return sum(each.st_size for _, each in facts), stable_hash(seen) >> 1  # as a signed number of 64 bits
    if not os.path.isfile(path):
        return None
    own = os.stat(path)
    return own.st_size, own.st_mtime_ns


def source_digest(path: str) -> str:
    """Hash the content of a source with BLAKE2b to 32 hexadecimal digits: of frames, names and bytes of the images.

    Raises:
        OSError: it cannot be read.
        Unusable: it holds what it must not, or is damaged.
    """
    digest = hashlib.blake2b(digest_size=16)
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
