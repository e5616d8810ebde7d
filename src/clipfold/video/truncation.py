"""Find sizes in a container that point past the end of the file."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from clipfold.storage.members import open_source

_ISO = frozenset([b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"styp", b"sidx", b"mfra", b"uuid"])
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MXF = bytes.fromhex("060e2b34")
_PACK = bytes.fromhex("000001ba")
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def missing_end(path: str) -> str:
    """Compare the sizes of a container's outermost parts with the size of the file.

    Args:
        path: a video file.

    Returns:
        What is missing, for people; "" if nothing is, or if the container stores no sizes.
    """
    with io.BufferedReader(open_source(path)) as file:  # type: ignore[type-var]  # a raw file, whatever its class
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(16)
        if head[4:8] in _ISO:
            parts = _iso(file, size)
        elif head.startswith(_EBML.to_bytes(4)):
            parts = _matroska(file, size)
        elif head.startswith(b"RIFF"):
            parts = _riff(file, size)
        elif head.startswith(b"FLV"):
            parts = _flv(file, size)
        elif head == _ASF:
            parts = _asf(file, size)
        elif head.startswith(b"OggS"):
            parts = _ogg(file, size)
        elif head.startswith(_MXF):
            parts = _mxf(file, size)
        elif head.startswith(_PACK):
            parts = _program_stream(file, size)
        elif step := _packet_bytes(file):
            parts = iter([("the last packet", -(-size // step) * step)])
        else:
            return ""
        for name, end in parts:
            if end > size:
                return f"{name} ends at byte {end}, the file at byte {size}"
    return ""


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _iso(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < size:
        head = _read(file, at, 16)
        if head[4:8] not in _ISO:
            return  # not a box, for example padding behind the last one
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:
            return  # 0: up to the end of the file
        yield f"box {head[4:8].decode()}", at + length
        at += length


def _matroska(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < size:
        head = _read(file, at, 12)
        id_bytes = 9 - head[0].bit_length()
        if id_bytes > 4:
            return  # not an element
        name = int.from_bytes(head[:id_bytes])
        first = head[id_bytes] if len(head) > id_bytes else 0
        size_bytes = 9 - first.bit_length()
        if not first or len(head) < id_bytes + size_bytes:
            yield f"element {name:X}", at + id_bytes + max(1, size_bytes if first else 1)
            return
        unknown = (1 << 7 * size_bytes) - 1
        length = int.from_bytes(head[id_bytes : id_bytes + size_bytes]) & unknown
        at += id_bytes + size_bytes
        if length == unknown:
            if name not in (_SEGMENT, _CLUSTER):
                return
            continue  # a live recording: go on with the first child
        at += length
        yield f"element {name:X}", at


def _riff(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < size and (head := _read(file, at, 8)).startswith(b"RIFF") and len(head) == 8:
        length = struct.unpack("<I", head[4:])[0]
        if length in (0, 0xFFFFFFFF):
            return  # a recording that was not closed
        yield "RIFF chunk", at + 8 + length
        at += 8 + length + length % 2


def _flv(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = int.from_bytes(_read(file, 5, 4)) + 4
    while at < size:
        head = _read(file, at, 11)
        if head[0] & 0x1F not in (8, 9, 18):
            return  # not a tag
        at += 11 + int.from_bytes(head[1:4]) + 4 if len(head) == 11 else 11
        yield "the last tag", at


def _asf(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at + 24 <= size:
        length = struct.unpack("<Q", _read(file, at + 16, 8))[0]
        if length < 24:
            return  # a broadcast
        at += length
        yield "ASF object", at


def _ogg(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < size:
        head = _read(file, at, 27 + 255)
        if not head.startswith(b"OggS"):
            return
        segments = head[26] if len(head) > 26 else 0
        at += 27 + segments + sum(head[27 : 27 + segments])
        yield "the last page", at


def _mxf(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    at = 0
    while at < size:
        head = _read(file, at, 25)
        if not head.startswith(_MXF):
            return
        first = head[16] if len(head) > 16 else 0
        size_bytes = first & 0x7F if first & 0x80 else 0
        length = int.from_bytes(head[17 : 17 + size_bytes]) if size_bytes else first
        at += 17 + size_bytes + length
        yield "the last part", at


def _program_stream(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    """Walk the packs and packets of a program stream: ISO/IEC 13818-1, 2.5.3, and 11172-1, 2.4.3."""
    at = 0
    while at < size:
        head = _read(file, at, 14)
        if head[: min(3, len(head))] != b"\0\0\1"[: len(head)]:
            return  # padding behind the last packet
        if len(head) < 6:
            at += 6 if head[3:4] != b"\xb9" else 4
        elif head[3] == 0xBA and head[4] >> 6 == 1:
            at += 14 + (head[13] & 7 if len(head) == 14 else 0)
        elif head[3] == 0xBA:
            at += 12
        elif head[3] == 0xB9:  # the end code; another stream may follow
            at += 4
        elif head[3] > 0xB9:
            at += 6 + int.from_bytes(head[4:6])
        else:
            return
        yield "the last packet", at


def _packet_bytes(file: BinaryIO) -> int:
    """Return the bytes of a transport stream's packets, time codes and checks included; 0 for other files."""
    head = _read(file, 0, 5 * 204)
    for step, first in ((188, 0), (192, 4), (204, 0)):
        if len(head) > first + 4 * step and all(head[first + k * step] == 0x47 for k in range(5)):
            return step
    return 0
