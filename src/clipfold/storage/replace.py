"""Write files whole, and through no link. Standard library only: a run writes its requests before any job."""

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing that replaces `path` if the block succeeds.

    Temporary files of killed writers of the same path are removed first; if such a writer is still alive, its rename
    fails. A link in place of `path` or of a temporary file is replaced or removed, never followed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):  # a folder of that name is not ours
            leftover.unlink()
    part = path.parent / f".{path.name}.{secrets.token_hex(8)}.part"
    try:
        with create(part) as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file that appears only when it is complete, see `replacing`."""
    with replacing(path) as file:
        file.write(content)


def create(path: str | Path) -> IO[bytes]:
    """Create a file for reading and writing; a file or link of that name is an error."""
    return open(path, "x+b", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
