"""Read records of earlier runs that may be odd: cut, of another version, or planted. Standard library only."""

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

LIMIT = 1 << 26
"""Bytes of the largest record that is read: the list of 500,000 files."""


def read_bytes(path: Path) -> bytes:
    """Read a regular file of at most `LIMIT` bytes; never waits for a pipe's writer.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, or larger.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a file")
        if status.st_size > LIMIT:
            raise ValueError(f"larger than {LIMIT} bytes")
        return file.read()


def read_or_ignore(path: Path, parse: Callable[[bytes], T]) -> T | None:
    """Read a record; one that is missing is None, and one that is odd in any way too, with a warning.

    Args:
        path: File of the record.
        parse: Converts its bytes; may raise any error.
    """
    try:
        return parse(read_bytes(path))
    except FileNotFoundError:
        return None
    except Exception as error:  # what strangers wrote may raise anything, also MemoryError and RecursionError
        logger.warning("%s is ignored: %s", path, error if str(error) else type(error).__name__)
        return None


def parse_json(content: bytes) -> Any:
    """Parse JSON without NaN and infinities.

    Raises:
        ValueError: It is no such JSON.
    """
    return json.loads(content, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"a number is {name}")


def amount(value: Any) -> float:
    """Check a recorded amount, such as of seconds or MB, and return it.

    Raises:
        TypeError: It is no number.
        ValueError: It is not in [0, 1e9].
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r:.40} is no number")
    if not 0 <= value <= 1e9:
        raise ValueError(f"{value!r:.40} is not in [0, 1e9]")
    return value
