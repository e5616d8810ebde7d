"""Paths of the manifest: relative to it, in the form in which the file is there. Standard library only."""

import os
import re
import unicodedata
from pathlib import Path

from clipfold.checks import require

_OF_WINDOWS = re.compile(r"\\|\A[A-Za-z]:/")


def is_address(path: str) -> bool:
    """Return whether a path is an address in storage, such as `s3://bucket/clip.mp4`."""
    return "://" in path and path.partition("://")[0].isalnum()


def join(folder: str, path: str) -> str:
    """Return `str(Path(folder, path))`, which would itself take a second for 100,000 paths.

    >>> join("data/", "a/b.mp4"), join("data/", "./a//b.mp4"), join("data/", "/c.mp4")
    ('data/a/b.mp4', 'data/a/b.mp4', '/c.mp4')
    """
    if is_address(path):
        return path
    plain = path[0] not in "./" and path[-1] != "/" and "//" not in path and "/." not in path
    return folder + path if plain else str(Path(folder, path))


def find_path(where: str, folder: str, cell: str) -> str:
    """Return the path in the normal form in which the file is there: archives and macOS change it.

    Raises:
        ValueError: It is a path of Windows.
    """
    path = join(folder, cell)
    if is_address(path) or (path.isascii() and not _OF_WINDOWS.search(cell)) or os.path.lexists(path):
        return path
    require(
        not _OF_WINDOWS.search(cell), where, cell, "this is a path of Windows: use / and paths relative to the manifest"
    )
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next(filter(os.path.lexists, forms), path)
