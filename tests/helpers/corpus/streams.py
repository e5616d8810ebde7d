"""Healthy videos with unusual timestamps and pixels."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.video.stream import VideoStream
from helpers.corpus.movies import FRAMES, QUIET, SIZE, Make, Parcel, encoded, movie, remux
from helpers.corpus.recipe import Recipe, ok
from helpers.corpus.spoil import box, poke

UNITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def times() -> list[Recipe]:
    """List videos with unusual timestamps and groups of pictures."""

    def stamped(stamps: Sequence[int], tick: Fraction, fmt: str | None = None, **settings: Any) -> Make:
        return lambda path: movie(path, fmt, frames=len(stamps), pts=stamps, tick=tick, **settings)

    def frozen(path: Path) -> bytes:
        data = movie(path, options={"bf": "0"})
        return poke(data, box(data, b"stts") + 12, bytes(4))

    def trimmed_by_list(path: Path) -> bytes:
        data = movie(path)
        at = box(data, b"elst") + 12
        (start,) = struct.unpack_from(">I", data, at)
        (delta,) = struct.unpack_from(">I", data, box(data, b"stts") + 12)
        return poke(data, at, struct.pack(">I", start + 6 * delta))

    def from_second_key(fmt: str, **settings: Any) -> Make:
        def keep(all_: list[Parcel]) -> list[Parcel]:
            return all_[[n for n, parcel in enumerate(all_) if parcel.key][1] :]

        return lambda path: remux(movie(path, "mp4", **settings), fmt, keep)

    def joined(fmt: str, **second: Any) -> Make:
        return lambda path: movie(path, fmt) + movie(path.with_name("second"), fmt, **second)

    tick = Fraction(1, 240)
    steps = [0, 10, 11, 31, 35, 70, 71, 72, 100, 140, 141, 170, 200, 201, 205, 230, 260, 300, 301, 302]
    x264_open = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=2:b-adapt=0:repeat-headers=1"}
    quiet = QUIET["libx265"]["x265-params"]
    x265_open = {"x265-params": f"{quiet}:open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=2:b-adapt=0"}
    refresh = {"x264-params": "intra-refresh=1:keyint=8:bframes=0"}
    ninety = Fraction(1, 90_000)
    wrap = [2**33 - 12 * 3750 + index * 3750 for index in range(FRAMES)]
    return [
        ok("vfr.mp4", stamped(steps, tick), "steps from 4 to 160 ms", frames=20),
        ok("vfr_pause.mkv", stamped([*range(12), *range(5000, 5012)], Fraction(1, 24)), "a gap of three minutes"),
        ok("edit_list.mp4", trimmed_by_list, "an edit list hides the first 6 frames", frames=18),
        ok(
            "negative_start.mp4",
            stamped(range(-6, 18), Fraction(1, 24), options={"bf": "0"}),
            "6 frames before time 0: the muxer hides them",
            frames=18,
        ),
        ok(
            "wrapped_start.flv",
            stamped(range(-6, 18), Fraction(1, 24), mux={"avoid_negative_ts": "disabled"}, options={"bf": "0"}),
            "time begins before 0, which wraps to 24 days",
        ),
        ok("late_start.ts", stamped(range(10**6, 10**6 + 24), Fraction(1, 24)), "time begins after 11 hours"),
        ok("wrap.ts", stamped(wrap, ninety, mux={"mpegts_copyts": "1"}), "the 33-bit clock wraps in the middle"),
        ok(
            "twin_stamps.mkv",
            stamped([n // 2 for n in range(24)], Fraction(1, 12), codec="ffv1"),
            "each timestamp twice",
        ),
        ok("frozen_clock.mp4", frozen, "all frames at time 0"),
        ok(
            "fast_clock.mkv",
            stamped(range(24), Fraction(1, 5000), codec="ffv1"),
            "five frames in each millisecond of Matroska's clock",
        ),
        ok("one_keyframe.mkv", encoded(options={"g": "9999"}), "nowhere to seek to"),
        ok(
            "b_pyramid.mp4", encoded(options={"x264-params": "bframes=7:b-pyramid=normal:b-adapt=0"}), "deep reordering"
        ),
        ok("intra_refresh.mp4", encoded(options=refresh), "no keyframe after the first, only recovery points"),
        ok("open_gop.mp4", encoded(options=x264_open), "H.264 with leading pictures"),
        ok("open_gop_hevc.mp4", encoded(codec="libx265", options=x265_open), "HEVC with leading pictures"),
        Recipe(
            "open_gop_cut.ts",
            "ok corrupt",
            from_second_key("ts", options=x264_open),
            "begins with leading pictures that cannot be decoded",
            frames=16,
        ),
        Recipe(
            "open_gop_cut_hevc.mkv",
            "ok truncated",
            from_second_key("mkv", codec="libx265", options=x265_open),
            "begins with leading pictures that the decoder drops",
            frames=16,
        ),
        ok(
            "size_change.ts",
            joined("ts", size=(128, 80)),
            "another size from the middle on, and the clock restarts",
            frames=48,
        ),
        ok("size_change.h264", joined("h264", size=(128, 80)), "another size from the middle on, no clock", frames=48),
        ok("format_change.ts", joined("ts", pix_fmt="yuv444p"), "another pixel format from the middle on", frames=48),
        ok(
            "many_frames.mp4",
            encoded(frames=1500, size=(16, 16), options={"preset": "ultrafast"}),
            "a minute of thumbnails",
            frames=1500,
        ),
    ]


def pixels() -> list[Recipe]:
    """List videos with unusual pixels: formats, aspect ratios, rotations, sizes."""

    def turned(degrees: int, fmt: str | None = None) -> Make:
        return lambda path: movie(path, fmt, stream=lambda video: video.set_display_rotation(degrees))

    def mirrored(path: Path) -> bytes:
        data = movie(path)
        at = box(data, b"tkhd") + 40
        assert data[at : at + 36] == UNITY
        return poke(data, at, struct.pack(">9i", -1 << 16, 0, 0, 0, 1 << 16, 0, SIZE[0] << 16, 0, 1 << 30))

    def wide(video: VideoStream) -> None:
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)

    def full(video: VideoStream) -> None:
        video.codec_context.color_range = 2

    def in_(codec: str, pix_fmt: str, **settings: Any) -> Make:
        return encoded(codec=codec, pix_fmt=pix_fmt, **settings)

    return [
        ok("rotated_90.mp4", turned(90), "display matrix: a quarter turn"),
        ok("rotated_180.mp4", turned(180), "display matrix: upside down"),
        ok("rotated_270.mov", turned(-90), "display matrix: three quarter turns"),
        ok("rotated_30.mp4", turned(30), "display matrix: no right angle"),
        ok("mirrored.mp4", mirrored, "display matrix: mirrored, as selfie cameras do"),
        ok("wide_pixels.mp4", encoded(stream=wide), "pixels 4:3"),
        ok("interlaced.mkv", encoded(options={"x264-params": "interlaced=1:tff=1"}), "interlaced H.264"),
        ok(
            "interlaced.mpg",
            encoded(codec="mpeg2video", rate=25, options={"flags": "+ildct+ilme"}),
            "interlaced MPEG-2",
        ),
        ok("full_range.mp4", in_("libx264", "yuvj420p", stream=full), "luma from 0 to 255"),
        ok("hevc_10_bit.mp4", in_("libx265", "yuv420p10le"), "10 bits, as phones record"),
        ok("h264_10_bit_422.mkv", in_("libx264", "yuv422p10le"), "10 bits 4:2:2"),
        ok("yuv444.mp4", in_("libx264", "yuv444p"), "no chroma subsampling"),
        ok("rgb.mkv", in_("libx264rgb", "rgb24"), "H.264 in RGB"),
        ok("gray.mkv", in_("ffv1", "gray"), "no chroma at all"),
        ok("gray_16.mkv", in_("ffv1", "gray16le"), "16 bits, no chroma"),
        ok("gray_h264.mp4", in_("libx264", "gray"), "H.264 without chroma"),
        ok(
            "alpha_vp9.webm",
            in_("libvpx-vp9", "yuva420p", options={"auto-alt-ref": "0"}),
            "transparency in a second stream",
        ),
        ok("alpha_qtrle.mov", in_("qtrle", "argb"), "transparency"),
        ok("alpha_prores.mov", in_("prores_ks", "yuva444p10le"), "transparency at 10 bits"),
        ok("alpha_png.mov", in_("png", "rgba"), "transparency in PNG"),
        ok("rgb_48.mov", in_("png", "rgb48be"), "16 bits a channel, big-endian"),
        ok("raw.avi", in_("rawvideo", "bgr24"), "uncompressed, bottom row first"),
        ok("odd_size.mkv", in_("ffv1", "yuv420p", size=(65, 47)), "odd sides with subsampled chroma"),
        ok("odd_size.webm", in_("libvpx-vp9", "yuv420p", size=(65, 47)), "odd sides with subsampled chroma"),
        ok("odd_size.mp4", in_("libx264", "yuv444p", size=(65, 47)), "odd sides, cropped from macroblocks"),
        ok("tiny.mp4", in_("libx264", "yuv420p", size=(2, 2)), "2 x 2 pixels"),
        ok("one_pixel.mkv", in_("ffv1", "bgr0", size=(1, 1)), "one pixel"),
        ok("sliver.mkv", in_("libx264", "yuv420p", size=(2048, 2)), "1024 times as wide as high"),
        ok("tower.mkv", in_("libx264", "yuv420p", size=(2, 1024)), "512 times as high as wide"),
    ]
