"""Healthy videos: all common containers, unusual names."""

from __future__ import annotations

import os
from pathlib import Path

from helpers.corpus.movies import FASTSTART, FRAGMENTS, Make, combine, encoded, movie, pack_b_frames, remux, sound
from helpers.corpus.recipe import Recipe, ok


def containers() -> list[Recipe]:
    """List healthy files in all common containers, and with unusual combinations of streams."""

    def two(path: Path) -> bytes:
        other = movie(path.with_name("other"), "mp4", size=(48, 32), frames=12)
        return combine("mkv", movie(path, "mp4"), other)

    def crowd(path: Path) -> bytes:
        text = b"1\n00:00:00,100 --> 00:00:00,900\nline\n\n"
        return combine("mkv", sound("wav", "pcm_s16le"), movie(path, "mp4"), text, attach=True)

    def cover_first(path: Path) -> bytes:
        picture_ = movie(path.with_name("cover"), "mkv", codec="mjpeg", pix_fmt="yuvj420p", frames=1, size=(320, 240))
        return combine("mp4", picture_, movie(path, "mp4"), covers=1)

    def kept(fmt: str, **mux: str) -> Make:
        return lambda path: remux(movie(path, "mp4"), fmt, list, mux)

    def packed(path: Path) -> bytes:
        source = movie(
            path,
            "avi",
            codec="mpeg4",
            frames=25,
            options={"bf": "1", "flags": "+bitexact", "b_strategy": "0", "g": "12"},
        )
        return remux(source, "avi", pack_b_frames)

    def copy(path: Path) -> bytes:
        twin = path.with_name("twin.mp4")
        twin.write_bytes(movie(twin))
        return twin.read_bytes()

    mpeg = {"codec": "mpeg2video", "options": {"bf": "2"}}
    return [
        ok("plain.mp4", movie, "nothing odd"),
        ok("faststart.mp4", encoded("mp4", mux=FASTSTART), "moov first"),
        ok("fragmented.mp4", encoded("mp4", mux=FRAGMENTS), "no frame count in the header"),
        Recipe("copy.mp4", "ok duplicate", copy, "the same bytes as another file", frames=24),
        Recipe(
            "link.mp4",
            "ok duplicate",
            lambda path: path.symlink_to("plain.mp4"),
            "link to a file of the corpus",
            frames=24,
        ),
        ok("plain.mov", movie, "QuickTime"),
        ok("plain.mkv", movie, "Matroska: no frame count"),
        ok(
            "live.webm",
            encoded("webm", codec="libvpx", mux={"live": "1"}),
            "as a browser records: no duration, no index",
        ),
        ok("plain.avi", movie, "H.264 with B-frames in AVI: decoding timestamps only"),
        ok("packed.avi", packed, "MPEG-4 with packed B-frames: two frames in a packet, then an empty one", frames=25),
        ok("xvid.avi", encoded("avi", codec="mpeg4"), "MPEG-4 part 2"),
        ok("plain.ts", movie, "transport stream: no frame count, no index"),
        ok("plain.mpg", encoded("mpg", **mpeg), "program stream: most packets lack timestamps"),
        ok("plain.flv", movie, "Flash video"),
        ok("plain.wmv", encoded("wmv", codec="wmv2"), "Windows Media"),
        ok("plain.3gp", encoded("3gp", codec="h263", size=(176, 144)), "H.263, as old phones record"),
        ok("plain.mxf", encoded("mxf", codec="mpeg2video", rate=25), "broadcast container"),
        ok("plain.gif", encoded("gif", codec="gif", pix_fmt="rgb8", rate=25), "animation with a palette"),
        ok("plain.apng", encoded("apng", codec="apng", pix_fmt="rgb24"), "animated PNG"),
        ok("plain.y4m", encoded("y4m", codec="wrapped_avframe"), "raw video with a header"),
        ok("plain.h264", movie, "bare H.264: no timestamps, no duration"),
        ok("plain.hevc", encoded("hevc", codec="libx265"), "bare HEVC: no timestamps, no duration"),
        ok("bare_h264.mp4", encoded("h264"), "bare H.264 called .mp4"),
        ok("mjpeg.avi", encoded("avi", codec="mjpeg", pix_fmt="yuvj420p"), "every frame a JPEG"),
        ok("bare.mjpeg", encoded("mjpeg", codec="mjpeg", pix_fmt="yuvj420p"), "JPEGs one after the other"),
        ok("ffv1.mkv", encoded("mkv", codec="ffv1"), "lossless"),
        ok("av1.mkv", encoded("mkv", codec="libsvtav1", size=(64, 64)), "AV1"),
        ok(
            "vp9.webm",
            encoded("webm", codec="libvpx-vp9", options={"auto-alt-ref": "1", "lag-in-frames": "8"}),
            "hidden reference frames in superframes",
        ),
        ok("two_videos.mkv", two, "two video streams: the larger one counts"),
        ok("crowd.mkv", crowd, "sound first, then video, subtitles and an attached font"),
        ok("with_sound.mp4", encoded("mp4", audio="aac"), "video and sound"),
        ok("sound_first.mkv", encoded("mkv", audio="flac", audio_first=True), "the video is stream 1"),
        ok("cover_and_video.mp4", cover_first, "a cover larger than the video: the video counts"),
        ok("trailing_garbage.mp4", lambda path: movie(path) + b"\xff" * 5000, "bytes behind the last box"),
        ok("leading_garbage.ts", lambda path: b"\x11" * 1000 + movie(path), "bytes before the first packet"),
        ok(
            "two_files_in_one.mp4",
            lambda path: movie(path) + movie(path.with_name("b.mp4")),
            "cat a.mp4 b.mp4: the first one plays",
        ),
        ok("remuxed.mkv", kept("mkv"), "packets copied from MP4"),
    ]


def names() -> list[Recipe]:
    """List good videos with names that break shells, patterns, globs, URLs or guesses by suffix."""

    def good(name: str, file: str, fmt: str = "mp4") -> Recipe:
        return ok(file, lambda path: movie(path, fmt), f"a good video called {file!a}", name=f"name_{name}")

    return [
        good("space", "with space.mp4"),
        good("trailing_space", "trailing space.mp4 "),
        good("comma", "with,comma.mp4"),
        good("quotes", 'it\'s "quoted".mp4'),
        good("sharp", "sharp#1.mp4"),
        good("percent", "100%.mp4"),
        good("pattern", "clip%03d.mp4"),
        good("wildcard", "{shard}.mp4"),
        good("glob", "[a-z]*?.mp4"),
        good("newline", "two\nlines.mp4"),
        good("tab", "tab\tstop.mp4"),
        good("dash", "-i.mp4"),
        good("dot", ".hidden.mp4"),
        good("colon", "12:30.mp4"),
        good("protocol", "concat:a|b.mp4"),
        good("shell", "$HOME;true&.mp4"),
        good("backslash", "back\\slash.mp4"),
        good("not_utf8", os.fsdecode(b"caf\xe9.mp4")),
        good("composed", "caf\u00e9.mp4"),
        good("decomposed", "cafe\u0301.mp4"),
        good("emoji", "\u6253\u67b6\U0001f94a.mp4"),
        good("longest", "x" * 251 + ".mp4"),
        good("upper", "UPPER.MP4"),
        good("no_suffix", "no_suffix"),
        good("mkv_as_avi", "mkv_inside.avi", "mkv"),
        good("ts_as_mp4", "ts_inside.mp4", "ts"),
        good("mp4_as_txt", "mp4_inside.txt"),
        good("mp4_as_jpg", "mp4_inside.jpg"),
        good("mp4_as_m3u8", "mp4_inside.m3u8"),
        good("mp4_as_sdp", "mp4_inside.sdp"),
    ]
