"""Truncated and damaged videos."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.corpus.movies import FASTSTART, FRAGMENTS, Make, movie, remux
from helpers.corpus.recipe import Recipe
from helpers.corpus.spoil import blank, box, cut, flip, poke


def damage() -> list[Recipe]:
    """List truncated and damaged files."""

    def rich(path: Path, fmt: str | None = None, codec: str = "libx264", **settings: Any) -> bytes:
        """Make frames so large that damage hits them."""
        rate = {"libx264": {"crf": "6"}, "mpeg4": {"b": "3000000"}}.get(codec, {})
        return movie(path, fmt, codec=codec, options=rate | settings.pop("options", {}), **settings)

    def cut_at(share: float, fmt: str | None = None, **settings: Any) -> Make:
        return lambda path: cut(rich(path, fmt, **settings), share)

    def hurt(way: Callable[[bytes], bytes], fmt: str | None = None, **settings: Any) -> Make:
        return lambda path: way(rich(path, fmt, **settings))

    def from_packet(first: int, fmt: str, **settings: Any) -> Make:
        return lambda path: remux(movie(path, "mp4", **settings), fmt, lambda all_: all_[first:])

    def without(number: int) -> Make:
        return lambda path: remux(movie(path, "mp4"), "mkv", lambda all_: all_[:number] + all_[number + 1 :])

    def mdat_only(path: Path) -> bytes:
        data = movie(path)
        return data[: data.index(b"moov") - 4]

    def cut_behind(kind: bytes, bytes_: int) -> Make:
        def make(path: Path) -> bytes:
            data = movie(path, mux=FRAGMENTS, options=gops)
            last = data.rindex(kind)
            return data[: data.rindex(kind, 0, last) + bytes_]

        return make

    def far_offset(data: bytes) -> bytes:
        return poke(data, box(data, b"stco") + 8, struct.pack(">I", 0x7FFF0000))

    gops = {"g": "6", "keyint_min": "6", "sc_threshold": "0"}
    drm = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "00112233445566778899aabbccddeeff",
        "encryption_kid": "ffeeddccbbaa99887766554433221100",
    }
    return [
        Recipe("no_moov.mp4", "unreadable", mdat_only, "recording that was never closed: no index"),
        Recipe("cut_moov.mp4", "unreadable truncated", cut_at(0.9), "cut inside the index at the end"),
        Recipe("cut.mp4", "truncated", cut_at(0.6, mux=FASTSTART), "index first, 60 % of the bytes"),
        Recipe(
            "cut_last_byte.mp4", "truncated corrupt", lambda path: movie(path, mux=FASTSTART)[:-1], "one byte short"
        ),
        Recipe(
            "cut_all_frames.mp4",
            "truncated",
            lambda path: (lambda d: d[: box(d, b"mdat") + 4])(movie(path, mux=FASTSTART)),
            "index first, and no frame",
        ),
        Recipe(
            "cut_fragments.mp4",
            "truncated corrupt ok",
            cut_behind(b"mdat", 20),
            "fragmented, cut inside the data of the last but one",
            frames=12,
        ),
        Recipe(
            "cut_fragments_head.mp4",
            "truncated unreadable",
            cut_behind(b"trun", 12),
            "fragmented, cut inside the index of the last but one",
        ),
        Recipe("cut.mkv", "truncated", cut_at(0.6), "60 % of the bytes"),
        Recipe("cut_header.mkv", "unreadable", lambda path: movie(path)[:120], "cut inside the header"),
        Recipe("cut.avi", "truncated", cut_at(0.6, codec="mpeg4"), "60 % of the bytes, index lost"),
        Recipe("cut.flv", "truncated", cut_at(0.6), "60 % of the bytes"),
        Recipe(
            "cut.gif",
            "ok truncated corrupt",
            cut_at(0.6, codec="gif", pix_fmt="rgb8", rate=25),
            "60 % of the bytes; no frame count in the header",
        ),
        Recipe("cut.ts", "ok truncated corrupt", cut_at(0.6), "no header promises anything"),
        Recipe(
            "mid_gop.ts",
            "ok corrupt",
            from_packet(3, "ts", options={"g": "12", "sc_threshold": "0"}),
            "begins between keyframes, as recordings off the air do",
            frames=12,
        ),
        Recipe("lost_packet.mkv", "ok corrupt truncated", without(8), "one packet is missing", frames=23),
        Recipe(
            "bit_flips.mp4",
            "corrupt",
            hurt(lambda d: flip(d, 0.3, 0.6, 97), mux=FASTSTART),
            "flipped bits in H.264 data",
        ),
        Recipe(
            "bit_flips.mkv",
            "corrupt ok",
            hurt(lambda d: flip(d, 0.3, 0.6, 997), codec="ffv1", options={"slicecrc": "1", "level": "3"}),
            "checksums fail, which FFmpeg only logs",
            frames=24,
        ),
        Recipe(
            "bit_flips.avi",
            "corrupt",
            hurt(lambda d: flip(d, 0.3, 0.6, 97), codec="mpeg4"),
            "flipped bits in MPEG-4 data",
        ),
        Recipe(
            "bit_flips_index.mp4",
            "corrupt truncated unreadable",
            hurt(lambda d: flip(d, 0.02, 0.3, 61), mux=FASTSTART),
            "flipped bits in the index",
        ),
        Recipe("zero_block.mp4", "corrupt", hurt(lambda d: blank(d, 0.5, 0.7), mux=FASTSTART), "a lost disk block"),
        Recipe(
            "zero_frames.mp4",
            "corrupt",
            hurt(lambda d: blank(d, box(d, b"mdat") / len(d), 1), mux=FASTSTART),
            "sparse file: every frame is zeros",
        ),
        # The bytes vary slightly between runs; sometimes the lost packets are whole frames, and the rest decodes.
        Recipe("zero_block.ts", "corrupt ok", hurt(lambda d: blank(d, 0.4, 0.6)), "lost packets"),
        Recipe("far_offset.mp4", "corrupt truncated", hurt(far_offset), "the index points behind the end"),
        Recipe(
            "encrypted.mp4", "corrupt unsupported_codec", hurt(bytes, mux=drm), "encrypted: opens, decodes to garbage"
        ),
    ]
