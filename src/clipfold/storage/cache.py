"""Keep what was read from files by their content, in a folder that experiments and people share.

An entry is named by a hash of all that it depends on: the bytes of the file, the settings and the code. So an entry is
right or absent, never out of date, and several runs may write at once: each file appears whole, and two of one name are
the same.
"""

import hashlib
import json
import logging
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.storage.files import Array
from clipfold.storage.replace import replacing

logger = logging.getLogger(__name__)

_FACTS, _ARRAY = "facts", "array."
_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something kept.

    Args:
        facts: JSON values by name.
        arrays: Arrays by name.
    """

    facts: Mapping[str, Any]
    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of entries.

    Args:
        folder: The folder; made when the first entry is written.
        code: What made the entries: with other code they are made again.
    """

    folder: Path
    code: str

    def path(self, **origin: Any) -> Path:
        """Name the file of an entry by all that it depends on, given as JSON values."""
        text = json.dumps({"code": self.code} | origin, sort_keys=True)
        key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return self.folder / key[:2] / f"{key}.npz"

    def read(self, path: Path) -> Entry | None:
        """Read an entry; None if there is none, or none that is whole (with a warning)."""
        try:
            with zipfile.ZipFile(path) as file:
                # Written without compression: what unpacks to more than the file has is not ours.
                if sum(member.file_size for member in file.infolist()) > path.stat().st_size:
                    raise ValueError("it unpacks to more than it holds")
            with np.load(path, allow_pickle=False) as loaded:
                found = {name: loaded[name] for name in loaded.files}
            facts = json.loads(found.pop(_FACTS).tobytes())
            entry = Entry(facts, {name.removeprefix(_ARRAY): array for name, array in found.items()})
        except FileNotFoundError:
            return None
        except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
            logger.warning("cache: %s is ignored: %s", path, error)
            return None
        with suppress(OSError):  # another's file: its time of use stays
            os.utime(path)
        return entry

    def write(self, path: Path, entry: Entry) -> None:
        """Keep an entry; a cache that cannot be written to stops nothing."""
        facts = np.frombuffer(json.dumps(entry.facts).encode(), np.uint8)
        try:
            with replacing(path) as file:
                arrays = {_ARRAY + name: each for name, each in entry.arrays.items()}
                np.savez(file, allow_pickle=False, **{_FACTS: facts, **arrays})
        except FileNotFoundError:  # another run is writing the same entry, see `replacing`
            pass
        except OSError as error:
            logger.warning("cache: %s is not kept: %s", path, error)


@dataclass(frozen=True, slots=True)
class Use:
    """What a cache holds.

    Args:
        entries: Number of files.
        size: Their bytes.
        unused_s: Seconds since the entry that was not used for longest was used; 0 without entries.
    """

    entries: int
    size: int
    unused_s: float

    def __str__(self) -> str:
        days = self.unused_s / 86400
        return f"{self.entries} entries, {self.size / 1e9:.2f} GB, the least used one last used {days:.1f} days ago"


def measure(folder: Path) -> Use:
    """Measure a cache.

    Raises:
        ValueError: There is no such folder.
    """
    found = _entries(folder)
    now = time.time()
    return Use(len(found), sum(size for _, size, _ in found), max((now - used for used, _, _ in found), default=0.0))


def trim(folder: Path, keep: int) -> int:
    """Remove the entries that were not used for longest, until at most `keep` bytes are left.

    Runs that are under way make again what they miss. Other files in the folder stay.

    Returns:
        Bytes removed.

    Raises:
        ValueError: There is no such folder.
    """
    found = _entries(folder)
    excess, removed = sum(size for _, size, _ in found) - keep, 0
    for _, size, path in found:
        if removed >= excess:
            break
        path.unlink(missing_ok=True)
        removed += size
    return removed


def _entries(folder: Path) -> list[tuple[float, int, Path]]:
    """List time of last use, size and path of each entry, the least used one first."""
    require(folder.is_dir(), "cache", str(folder), "no such folder: name the folder that `cache:` of the config names")
    return sorted(_stats(folder))


def _stats(folder: Path) -> Iterator[tuple[float, int, Path]]:
    for path in folder.glob("[0-9a-f][0-9a-f]/*.npz"):
        with suppress(OSError):  # removed meanwhile
            stat = path.lstat()
            yield stat.st_mtime, stat.st_size, path


def parse_size(text: str) -> int:
    """Read a size in bytes.

    >>> parse_size("10GB"), parse_size("0.5 MB"), parse_size("0")
    (10000000000, 500000, 0)

    Raises:
        ValueError: It is no size.
    """
    number, unit = text.strip(), 1.0
    for name, factor in _UNITS.items():
        if number.upper().endswith(name):
            number, unit = number[: -len(name)], factor
    try:
        size = float(number) * unit
        return int(size) if size >= 0 else int("negative")
    except (ValueError, OverflowError):
        raise ValueError(f"keep is {text!r}: use a size such as 500MB or 10GB") from None
