"""Hash text to numbers that are the same on any machine and in any run. Standard library only."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def stable_hash(text: str, digest_size: int = 8) -> int:
    """Hash text to a whole number with BLAKE2b, unlike `hash`, which differs from run to run.

    Args:
        text: any text.
        digest_size: bytes of the result, 1 to 64.

    Returns:
        Number in [0, 256 ** digest_size).
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=digest_size).digest(), "big")


def file_digest(path: str | Path) -> str:
    """Hash a file's bytes with BLAKE2b to 32 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def key_of(facts: object, files: Iterable[str | Path]) -> str:
    """Hash all that a job's unfinished work depends on: settings, and the size and modification time of its files.

    Raises:
        OSError: a file is not there.
    """
    stats = [(str(path), (stat := Path(path).stat()).st_size, stat.st_mtime_ns) for path in files]
    return hashlib.blake2b(json.dumps([facts, stats], sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
