"""Which results are not whole. Standard library only: a run looks at all of them before it plans.

Results are written under another name and renamed when they are complete, so that a killed job leaves none of these; a
disk that failed, a quota that struck late or a copy that was interrupted does.
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
"""How a file of a kind ends."""


def truncated_outputs(folder: Path) -> Iterator[Path]:
    """Files below a folder that are cut short; links are not followed, and kinds without a sure sign not judged."""
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
    """Lists of files (JSON, kind -> paths) in a folder, all of them whole, that name a file which is not there."""
    for path in sorted(folder.glob("*.json")):
        files: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        if not all(map(os.path.exists, chain.from_iterable(files.values()))):
            yield path


def is_whole(path: Path) -> bool:
    """Whether a file has all that its kind says it has."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if path.suffix == ".npy":
                return size == _array_bytes(file.read(1024))
            if path.suffix == ".safetensors":
                return size == _tensors_bytes(file.read(8), path)
            if path.suffix == ".skops":  # a ZIP archive, which has its directory at its end
                file.seek(max(0, size - 22))
                return file.read(4) == b"PK\x05\x06"
            file.seek(max(0, size - 16))
            return file.read().endswith(ENDS[path.suffix])
    except FileNotFoundError:  # replaced while we look
        return True
    except (ValueError, SyntaxError, KeyError, struct.error):
        return False


def _array_bytes(start: bytes) -> int:
    """Size that the header of an `.npy` file, version 1, gives."""
    (length,) = struct.unpack_from("<H", start, 8)
    header = ast.literal_eval(start[10 : 10 + length].decode("latin1"))
    shape: tuple[int, ...] = header["shape"]
    return 10 + int(length) + prod(shape) * int(header["descr"][2:])


def _tensors_bytes(start: bytes, path: Path) -> int:
    """Size that the header of a `.safetensors` file gives."""
    (length,) = struct.unpack("<Q", start)
    with open(path, "rb") as file:
        file.seek(8)
        header: dict[str, dict[str, list[int]]] = json.loads(file.read(min(length, path.stat().st_size)))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + int(length) + max(ends, default=0)
