"""Find truncated outputs. Standard library only: every run checks all results before it plans.

Results are renamed into place only when complete, so a killed job leaves no truncated output. A failing disk, an
exceeded quota or an interrupted transfer can.
"""

import ast
import json
import os
import struct
from collections.abc import Iterator
from itertools import chain
from math import prod
from pathlib import Path

ENDS = {
    ".parquet": (b"PAR1",),
    ".json": (b"\n}\n", b"\n]\n", b"{}\n", b"[]\n"),
    ".svg": (b"</svg>\n", b"</svg>"),
    ".pdf": (b"%%EOF\n", b"%%EOF"),
    ".html": (b"</html>\n", b"</html>"),
    ".tex": (b"\n",),
}
"""Suffix -> the bytes that a complete file ends with."""


def truncated_outputs(folder: Path) -> Iterator[Path]:
    """Yield the truncated files below a folder; links are not followed, and other file types are not checked."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if (
                not name.startswith(".")
                and path.suffix in (*ENDS, ".npy", ".safetensors", ".skops")
                and not is_whole(path)
            ):
                yield path


def incomplete_lists(folder: Path) -> Iterator[Path]:
    """Yield the lists of files (JSON, kind -> paths) in a folder that name a missing file; all must be valid JSON."""
    for path in sorted(folder.glob("*.json")):
        files: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        if not all(map(os.path.exists, chain.from_iterable(files.values()))):
            yield path


def is_whole(path: Path) -> bool:
    """Check that a file is not truncated, by the header or the end that its type requires."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if path.suffix == ".npy":
                return size == _array_bytes(file.read(1024))
            if path.suffix == ".safetensors":
                return size == _tensors_bytes(file.read(8), path)
            if path.suffix == ".skops":  # a ZIP archive ends with its directory
                file.seek(max(0, size - 22))
                return file.read(4) == b"PK\x05\x06"
            file.seek(max(0, size - 16))
            return file.read().endswith(ENDS[path.suffix])
    except FileNotFoundError:  # replaced during the check
        return True
    except (ValueError, SyntaxError, KeyError, struct.error):
        return False


def _array_bytes(start: bytes) -> int:
    """Compute the file size from the header of an `.npy` file, version 1."""
    (length,) = struct.unpack_from("<H", start, 8)
    header = ast.literal_eval(start[10 : 10 + length].decode("latin1"))
    shape: tuple[int, ...] = header["shape"]
    return 10 + int(length) + prod(shape) * int(header["descr"][2:])


def _tensors_bytes(start: bytes, path: Path) -> int:
    """Compute the file size from the header of a `.safetensors` file."""
    (length,) = struct.unpack("<Q", start)
    with open(path, "rb") as file:
        file.seek(8)
        header: dict[str, dict[str, list[int]]] = json.loads(file.read(min(length, path.stat().st_size)))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + int(length) + max(ends, default=0)
