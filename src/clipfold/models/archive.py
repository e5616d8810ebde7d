"""Refuse archives that unpack to more than their size: our formats store arrays as they are."""

import zipfile
from pathlib import Path

SLACK = 1 << 20
"""Bytes of text, such as a schema, that may be compressed."""


def refuse_compressed(path: Path) -> None:
    """Check what a ZIP archive unpacks to, before anything is unpacked; other files pass.

    Raises:
        ValueError: It is more than the file has.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"{path} is a damaged archive ({error}): replace it") from error
    size = path.stat().st_size
    if unpacked > size + SLACK:
        raise ValueError(f"{path} has {size} bytes and unpacks to {unpacked}: save it without compression")
