"""Find truncated outputs. Standard library only: every run checks all results before it plans.

Results are renamed into place only when complete, so a killed job leaves no truncated output. A failing disk, an
exceeded quota or an interrupted transfer can.
"""

import ast
import json
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, count
from math import prod
from pathlib import Path
from typing import IO, Any

from clipfold.storage.records import LIMIT, parse_json, read_or_ignore

ENDS = {
    ".parquet": (b"PAR1",),
    ".json": (b"\n}\n", b"\n]\n", b"{}\n", b"[]\n"),
    ".svg": (b"</svg>\n", b"</svg>"),
    ".pdf": (b"%%EOF\n", b"%%EOF"),
    ".html": (b"</html>\n", b"</html>"),
    ".tex": (b"\n",),
}
"""Suffix -> the bytes that a complete file ends with."""


def own_outputs(outputs: Iterable[Path], top: Path) -> list[Path]:
    """Select the outputs that exist and are no links, nor below linked folders.

    Args:
        outputs: Paths below `top`.
        top: The folder of results, which may be a link itself, as to a larger disk.
    """

    @cache
    def linked(folder: Path) -> bool:
        return Path(os.path.realpath(folder)) != Path(os.path.realpath(top), folder.relative_to(top))

    return [path for path in outputs if os.path.lexists(path) and not path.is_symlink() and not linked(path.parent)]


def truncated_outputs(outputs: Iterable[Path]) -> Iterator[Path]:
    """Yield the truncated ones of own outputs; file types other than the known ones are not checked."""
    for path in outputs:
        if path.suffix in (*ENDS, ".npy", ".safetensors", ".skops") and not is_whole(path):
            yield path


def incomplete_lists(lists: Iterable[Path]) -> Iterator[Path]:
    """Yield those lists of files (JSON, kind -> paths) that name a missing file, or are no such lists."""
    return (path for path in lists if not read_or_ignore(path, _all_exist))


def _all_exist(content: bytes) -> bool:
    files: dict[str, list[str]] = parse_json(content)
    return all(map(os.path.exists, chain.from_iterable(files.values())))


def move_aside(path: Path) -> Path:
    """Rename a file to the first free of NAME.broken-1, NAME.broken-2, ...; returns the new path."""
    names = (path.with_name(f"{path.name}.broken-{number}") for number in count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    return path.rename(aside)


def is_whole(path: Path) -> bool:
    """Check that a file is not truncated, by the header or the end that its type requires.

    What cannot be opened, such as a link, is not judged.
    """
    try:
        with open(path, "rb", opener=_not_through_links) as file:
            status = os.fstat(file.fileno())
            return stat.S_ISREG(status.st_mode) and _ends_as_it_should(file, status.st_size, path.suffix)
    except OSError:
        return True


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would wait for a writer


def _ends_as_it_should(file: IO[bytes], size: int, suffix: str) -> bool:
    try:
        if suffix == ".npy":
            return size == _array_bytes(file.read(1024))
        if suffix == ".safetensors":
            return size == _tensors_bytes(file, size)
        if suffix == ".skops":  # a ZIP archive ends with its directory
            file.seek(max(0, size - 22))
            return file.read(4) == b"PK\x05\x06"
        file.seek(max(0, size - 16))
        return file.read().endswith(ENDS[suffix])
    except OSError:
        raise
    except Exception:  # a header may hold anything, and so raise anything
        return False


def _array_bytes(start: bytes) -> int:
    """Compute the file size from the header of an `.npy` file, version 1."""
    (length,) = struct.unpack_from("<H", start, 8)
    header = ast.literal_eval(start[10 : 10 + length].decode("latin1"))
    shape: tuple[int, ...] = header["shape"]
    return 10 + int(length) + prod(shape) * _item_bytes(header["descr"])


def _item_bytes(descr: str | list[tuple[Any, ...]]) -> int:
    """Return the bytes of an element: a number such as `<f4`, or fields of a name, a number and perhaps a shape.

    >>> _item_bytes("<f4"), _item_bytes([("x", "<f2"), ("descriptor", "|u1", (128,))])
    (4, 130)
    """
    if isinstance(descr, str):
        return int(descr[2:])
    return sum(_item_bytes(field[1]) * prod(field[2] if len(field) > 2 else ()) for field in descr)


def _tensors_bytes(file: IO[bytes], size: int) -> int:
    """Compute the file size from the header of a `.safetensors` file."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(size, LIMIT):
        raise ValueError("the header is cut, or larger than any of ours")
    header: dict[str, dict[str, list[int]]] = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + int(length) + max(ends, default=0)
