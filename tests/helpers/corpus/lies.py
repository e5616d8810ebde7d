"""Small files whose headers claim something huge or unknown."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.corpus.movies import Make, declare, movie, parcels
from helpers.corpus.recipe import Recipe, ok
from helpers.corpus.spoil import box, poke, swap


def lies() -> list[Recipe]:
    """List small files whose headers claim something huge or unknown."""

    def patched(way: Callable[[bytes], bytes], fmt: str | None = None, **settings: Any) -> Make:
        return lambda path: way(movie(path, fmt, **settings))

    def fourcc(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        return lambda data: swap(data, old, new)

    def flat_png(side: int) -> bytes:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        rows = zlib.compress(bytes((side // 8 + 1) * side), 1)
        head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    def huge_vp8(path: Path) -> bytes:
        side = struct.pack("<HH", 16383, 16383)
        packets = [p.data for p in parcels(movie(path, "webm", codec="libvpx", options={"g": "1"}))]
        return declare("webm", "vp8", (16383, 16383), [poke(data, 6, side) for data in packets])

    def huge_mpeg2(path: Path) -> bytes:
        data = movie(path, "m2v", codec="mpeg2video", options={"g": "1"})
        at = data.index(b"\0\0\1\xb3") + 4
        return data.replace(data[at - 4 : at + 3], data[at - 4 : at] + b"\xff\xff\xff")

    def huge_mkv(side: int) -> Make:
        return lambda path: declare("mkv", "ffv1", (side, side), [p.data for p in parcels(movie(path, codec="ffv1"))])

    def times(data: bytes) -> bytes:
        for kind in (b"mvhd", b"mdhd"):
            data = poke(data, box(data, kind) + 16, b"\x7f\xff\xff\xff")
        return data

    def times_mkv(data: bytes) -> bytes:
        return poke(data, data.index(b"\x44\x89\x88") + 3, struct.pack(">d", 2.0**41))

    def counts_avi(data: bytes) -> bytes:
        return poke(data, box(data, b"strh") + 36, b"\xff\xff\xff\x7f")

    def counts(data: bytes) -> bytes:
        return poke(data, box(data, b"stts") + 8, b"\x7f\xff\xff\xff")

    def index(data: bytes) -> bytes:
        """Claim two million frames of one byte in one chunk: small on disk, large once indexed."""
        many = struct.pack(">I", 2_000_000)
        data = poke(data, box(data, b"stts") + 8, many)
        data = poke(data, box(data, b"stsz") + 4, struct.pack(">I", 1) + many)
        return poke(data, box(data, b"stsc") + 12, many)

    def nested(path: Path) -> bytes:
        inner = b""
        for _ in range(5000):
            inner = struct.pack(">I", len(inner) + 8) + b"moov" + inner
        return movie(path)[:32] + inner

    return [
        Recipe(
            "bomb.mov",
            "too_large",
            lambda path: declare("mov", "png", (16000, 16000), [flat_png(16000)] * 2),
            "true 16000 x 16000 pictures in few bytes",
        ),
        Recipe(
            "huge_16k.mkv",
            "too_large corrupt",
            huge_mkv(16000),
            "claims 16000 x 16000, which FFmpeg would allocate",
        ),
        Recipe(
            "huge_30k.mkv",
            "too_large unreadable corrupt",
            huge_mkv(30000),
            "header claims 30000 x 30000, beyond FFmpeg's own limit",
        ),
        Recipe("huge_vp8.webm", "too_large", huge_vp8, "every keyframe claims 16383 x 16383"),
        Recipe("huge_mpeg2.m2v", "too_large corrupt", huge_mpeg2, "every sequence header claims 4095 x 4095"),
        Recipe(
            "huge_gif.gif",
            "too_large corrupt unreadable",
            patched(lambda d: poke(d, 6, b"\xff\xff\xff\xff"), codec="gif", pix_fmt="rgb8", rate=25),
            "screen of 65535 x 65535",
        ),
        Recipe(
            "huge_raw.y4m",
            "too_large unreadable",
            lambda path: b"YUV4MPEG2 W30000 H30000 F24:1 C420\nFRAME\n" + bytes(9999),
            "raw frames of 1.3 GB",
        ),
        ok("long_claim.mp4", patched(times), "duration of 2^31 ticks, 24 frames"),
        Recipe(
            "long_claim.mkv", "ok too_large truncated", patched(times_mkv), "duration of 70 years, 24 frames", frames=24
        ),
        Recipe(
            "count_claim.avi",
            "ok too_large truncated",
            patched(counts_avi, codec="mpeg4"),
            "2^31 frames, 24 frames",
            frames=24,
        ),
        Recipe(
            "count_claim.mp4",
            "ok too_large truncated",
            patched(counts),
            "time table of 2^31 frames, 24 frames",
            frames=24,
        ),
        Recipe(
            "index_claim.mp4", "too_large truncated corrupt", patched(index), "two million frames that are not there"
        ),
        Recipe("nested.mp4", "unreadable", nested, "5000 boxes inside each other"),
        Recipe("unknown_codec.mp4", "unsupported_codec", patched(fourcc(b"avc1", b"zzzz")), "unknown fourcc"),
        Recipe(
            "unknown_codec.avi", "unsupported_codec", patched(fourcc(b"FMP4", b"zzzz"), codec="mpeg4"), "unknown fourcc"
        ),
        Recipe(
            "unknown_codec.mkv",
            "unsupported_codec",
            patched(fourcc(b"V_MPEG4/ISO/AVC", b"V_CLIPFOLD/TEST")),
            "unknown codec name",
        ),
        Recipe(
            "evc.mp4",
            "unsupported_codec",
            patched(fourcc(b"avc1", b"evc1")),
            "EVC: known to FFmpeg, but without a decoder",
        ),
    ]
