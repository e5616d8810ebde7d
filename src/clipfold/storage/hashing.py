"""Hash text to numbers that are the same on any machine and in any run. Standard library only."""

import hashlib
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
