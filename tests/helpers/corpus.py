"""A corpus of bad, odd and hostile video files, made on the fly.

Everything is made with PyAV alone, from seeded pictures; nothing is downloaded or committed. Whatever the FFmpeg behind
PyAV cannot make (an encoder or a muxer left out of the build, a device node where the tests lack the right) is left out
of the list, and named in `LEFT_OUT` afterwards.
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import random
import stat
import struct
import wave
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from clipfold.demo.encode import scheduling_kept

FRAMES = 24
SIZE = (96, 64)
UNITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

LEFT_OUT: dict[str, str] = {}
"""Cases that the last `make_corpus` could not make here, with the reason."""


@dataclass(frozen=True)
class Case:
    """One file (or path that is none) and what a careful probe says of it.

    Attributes:
        name: Short unique name, fit for a test's id.
        path: The path as a manifest would hold it, undecodable bytes surrogate-escaped (`os.fsencode` restores them).
        expected: The acceptable statuses; one, unless honest tools may differ.
        frames: Frames that a plain full decode of the main video stream delivers, where the case can be `ok` (None also
            where that hangs on the encoder's version).
        why: What is odd about it.
    """

    name: str
    path: str
    expected: frozenset[str]
    frames: int | None
    why: str


Image = np.ndarray[Any, np.dtype[np.uint8]]
"""A picture, uint8, shape (height, width, 3), RGB."""

Make = Callable[[Path], bytes | str | None]
"""Returns the file's bytes, or another path to use, or nothing where it made the file itself."""


@dataclass(frozen=True)
class _Recipe:
    file: str
    expected: str
    make: Make
    why: str
    frames: int | None = None
    name: str = ""


def _ok(file: str, make: Make, why: str, frames: int = FRAMES, name: str = "") -> _Recipe:
    return _Recipe(file, "ok", make, why, frames, name)


# --- Making pictures, streams and files -------------------------------------------------------------------------------

MUXERS = {"m2v": "mpeg2video", "mkv": "matroska", "mpg": "vob", "ts": "mpegts", "wmv": "asf", "y4m": "yuv4mpegpipe"}
"""Names of the muxers that are not called as their suffix."""

FASTSTART = {"movflags": "faststart"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
QUIET = {
    "libx264": {"preset": "veryfast", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "threads": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "threads": "1"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}


def _muxer(suffix: str) -> str:
    return MUXERS.get(suffix, suffix)


@functools.cache
def _picture(index: int, size: tuple[int, int]) -> Image:
    width, height = size
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 2 + index * 5, y * 3, x + y + index * 3], axis=-1).astype(np.uint8)
    side = max(min(size) // 4, 1)
    left, top = index * 3 % max(width - side, 1), index * 2 % max(height - side, 1)
    image[top : top + side, left : left + side] = (255 - index * 9 % 256, index * 10 % 256, 128)
    grain: Image = np.random.default_rng(index).integers(0, 8, image.shape, np.uint8)
    return image + grain


def picture(index: int, size: tuple[int, int] = SIZE, seed: int = 0) -> Image:
    """Returns frame `index`: a drifting gradient, a moving square and some grain, in colours set by 24 bits of seed."""
    return _picture(index, size) + np.frombuffer(struct.pack("<I", seed), np.uint8)[:3]


def movie(
    path: Path,
    fmt: str | None = None,
    *,
    codec: str = "libx264",
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    pix_fmt: str = "yuv420p",
    rate: int = 24,
    pts: Sequence[int] | None = None,
    tick: Fraction | None = None,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    stream: Callable[[VideoStream], None] | None = None,
    frame: Callable[[av.VideoFrame], None] | None = None,
    audio: str | None = None,
    audio_first: bool = False,
) -> bytes:
    """Returns a whole video file.

    Args:
        path: Where it will lie; its name seeds the pictures, so that no two files of the corpus hold the same video.
        fmt: Suffix naming the container, where it is not the path's own.
        pts: Timestamps of the frames in units of `tick` (default: 0, 1, 2, ... in frames).
        options: Options of the encoder, over quiet and fast defaults.
        mux: Options of the muxer.
        stream: Sets the video stream up before anything is encoded.
        frame: Changes each frame before it is encoded.
        audio: Codec of an accompanying sine tone.
    """
    seed = zlib.crc32(os.fsencode(path.name))
    clock = tick or Fraction(1, rate)
    reformat = VideoReformatter().reformat
    scratch = path.with_name(".scratch")  # a true file, since `faststart` reopens it
    with (
        scheduling_kept(),
        av.open(str(scratch), "w", format=_muxer(fmt or path.suffix.lstrip(".")), container_options=mux or {}) as out,
    ):
        sound = _audio(out, audio) if audio and audio_first else None
        video = cast(VideoStream, out.add_stream(codec, rate, QUIET.get(codec, {}) | (options or {})))
        video.width, video.height = size
        video.pix_fmt = pix_fmt
        video.codec_context.time_base = clock
        if stream:
            stream(video)
        sound = sound or (_audio(out, audio) if audio else None)
        for index, stamp in zip(range(frames), pts or itertools.count(), strict=False):
            image = reformat(av.VideoFrame.from_ndarray(picture(index, size, seed), "rgb24"), format=pix_fmt)
            image.pts, image.time_base = stamp, clock
            if frame:
                frame(image)
            out.mux(video.encode(image))
        out.mux(video.encode(None))
        if sound:
            for block in _tone(frames / rate):
                out.mux(sound.encode(block))
            out.mux(sound.encode(None))
    data = scratch.read_bytes()
    scratch.unlink()
    return data


def encoded(fmt: str | None = None, **settings: Any) -> Make:
    """Returns the recipe of a `movie` with these settings."""
    return lambda path: movie(path, fmt, **settings)


def _audio(out: OutputContainer, codec: str) -> AudioStream:
    return cast(AudioStream, out.add_stream(codec, 44100))


def _tone(seconds: float, rate: int = 44100, block: int = 1024) -> Iterator[av.AudioFrame]:
    for start in range(0, int(seconds * rate), block):
        wave_ = 0.2 * np.sin(np.arange(start, start + block) * (2 * np.pi * 440 / rate))
        frame = av.AudioFrame.from_ndarray(wave_[None].astype(np.float32).repeat(2, 0), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame


def sound(fmt: str, codec: str, cover: bool = False) -> bytes:
    """Returns a second of tone, with a picture as its cover if asked."""
    file = io.BytesIO()
    with av.open(file, "w", format=fmt) as out:
        tone = _audio(out, codec)
        image = out.add_stream("mjpeg", rate=1) if cover else None
        if image:
            image.width, image.height = SIZE
            image.pix_fmt = "yuvj420p"
            image.disposition = Disposition.attached_pic
            out.mux(image.encode(av.VideoFrame.from_ndarray(picture(0), "rgb24").reformat(format="yuvj420p")))
            out.mux(image.encode(None))
        for block in _tone(1):
            out.mux(tone.encode(block))
        out.mux(tone.encode(None))
    return file.getvalue()


@dataclass
class Parcel:
    """One compressed frame, free of any container."""

    data: bytes
    pts: int | None
    dts: int | None
    key: bool


def parcels(data: bytes) -> list[Parcel]:
    """Returns the packets of the (first) video stream."""
    with av.open(io.BytesIO(data), "r") as source:
        return [Parcel(bytes(p), p.pts, p.dts, p.is_keyframe) for p in source.demux(video=0) if p.size]


def remux(
    data: bytes, fmt: str, keep: Callable[[list[Parcel]], list[Parcel]], mux: dict[str, str] | None = None
) -> bytes:
    """Returns the video stream in another container, with only the packets (changed or not) that `keep` returns."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(data)) as source,
        av.open(file, "w", format=_muxer(fmt), container_options=mux or {}) as out,
    ):
        origin = source.streams.video[0]
        stream = out.add_stream_from_template(origin, opaque=True)
        out.start_encoding()  # else no packets means no header
        for parcel in keep(parcels(data)):
            packet = av.Packet(parcel.data)
            packet.stream, packet.time_base = stream, cast(Fraction, origin.time_base)
            packet.pts, packet.dts, packet.is_keyframe = parcel.pts, parcel.dts, parcel.key
            out.mux(packet)
    return file.getvalue()


def still(codec: str, pix_fmt: str) -> bytes:
    """Returns one compressed picture, such as the inside of a .png or .jpg file."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = SIZE
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 24)
    frame = av.VideoFrame.from_ndarray(picture(0), "rgb24").reformat(format=pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def declare(fmt: str, codec: str, size: tuple[int, int], packets: Sequence[bytes]) -> bytes:
    """Returns a file whose header declares `codec` and `size`, whatever the packets say."""
    file = io.BytesIO()
    with av.open(file, "w", format=_muxer(fmt)) as out:
        stream = out.add_mux_stream(codec, rate=24, width=size[0], height=size[1], pix_fmt="yuv420p")
        stream.time_base = Fraction(1, 24)
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 24)
            packet.pts = packet.dts = index
            packet.is_keyframe = True
            out.mux(packet)
    return file.getvalue()


def combine(
    fmt: str,
    *files: bytes,
    covers: int = 0,
    attach: bool = False,
    keep: Callable[[list[Packet[Stream]]], list[Packet[Stream]]] = list,
) -> bytes:
    """Returns one file with the streams of several, in that order.

    Args:
        covers: How many leading files are cover art.
        attach: Adds an attachment.
        keep: Picks from the packets of each video stream.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=_muxer(fmt)) as out:
        packets = []
        for number, data in enumerate(files):
            source = av.open(io.BytesIO(data), "r")
            stream = out.add_stream_from_template(source.streams[0], opaque=True)
            if number < covers:
                stream.disposition = Disposition.attached_pic
            mine = [packet for packet in source.demux(0) if packet.size]
            for packet in keep(mine) if stream.type == "video" else mine:
                packet.stream = stream
                packets.append(packet)
        if attach:
            out.add_attachment("font.ttf", "application/x-truetype-font", bytes(100))
        packets.sort(key=lambda packet: (packet.dts or 0) * packet.time_base)
        for packet in packets:
            out.mux(packet)
    return file.getvalue()


def pack_b_frames(plain: list[Parcel]) -> list[Parcel]:
    """Packs each B-frame of an I P B P B ... MPEG-4 stream into the packet before it, as DivX 5 does in AVI.

    The packet freed by that carries an empty picture (vop_coded = 0), and the user data says so (the final `p`).
    """
    empty = bytes.fromhex("000001b6504f")  # a P picture at time 0 of 1/24 s steps, not coded
    chunks = []
    for index, parcel in enumerate(plain):
        data = parcel.data
        if parcel.key:
            data = data.replace(b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p\0\0\1\xb6", 1)
        bidirectional = [p.data[p.data.index(b"\0\0\1\xb6") + 4] >> 6 == 2 for p in plain[index : index + 2]]
        if bidirectional[0]:
            chunks.append(empty)
        else:
            chunks.append(data + (plain[index + 1].data if bidirectional[1:] == [True] else b""))
    return [Parcel(chunk, None, at, parcel.key) for at, (chunk, parcel) in enumerate(zip(chunks, plain, strict=True))]


# --- Spoiling bytes ---------------------------------------------------------------------------------------------------


def cut(data: bytes, share: float) -> bytes:
    """Returns the first `share` of the bytes."""
    return data[: int(len(data) * share)]


def swap(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replaces bytes in place; never silently nothing."""
    assert old in data, old
    assert len(old) == len(new), (old, new)
    return data.replace(old, new)


def poke(data: bytes, at: int, new: bytes) -> bytes:
    """Overwrites bytes at an offset."""
    return data[:at] + new + data[at + len(new) :]


def box(data: bytes, kind: bytes) -> int:
    """Returns the offset of the payload of the first MP4 box of a kind."""
    return data.index(kind) + 4


def flip(data: bytes, start: float, end: float, every: int) -> bytes:
    """Flips a bit in every `every`-th byte between two shares of the data."""
    raw = bytearray(data)
    for at in range(int(len(raw) * start), int(len(raw) * end), every):
        raw[at] ^= 1 << at % 8
    return bytes(raw)


def blank(data: bytes, start: float, end: float) -> bytes:
    """Zeroes the bytes between two shares of the data, as a lost disk block does."""
    first, last = int(len(data) * start), int(len(data) * end)
    return poke(data, first, bytes(last - first))


def damaged(source: bytes, seed: int) -> bytes:
    """Returns a randomly damaged copy: bit flips, zeroed, swapped, inserted, dropped and truncated blocks.

    A pure function of its arguments: the same seed gives the same damage on any machine. One to three kinds of damage
    are put on top of each other; bit flips come at rates from one per file to one per ten bytes.
    """
    rng = random.Random(seed)
    raw = bytearray(source)

    def span() -> tuple[int, int]:
        length = max(1, int(len(raw) * 10 ** rng.uniform(-3, -0.5)))
        start = rng.randrange(max(1, len(raw) - length + 1))
        return start, min(start + length, len(raw))

    def flips() -> None:
        for _ in range(max(1, int(len(raw) * 10 ** rng.uniform(-5, -1)))):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)

    def zero() -> None:
        start, end = span()
        raw[start:end] = bytes(end - start)

    def exchange() -> None:
        start, end = span()
        other = rng.randrange(max(1, len(raw) - (end - start) + 1))
        other_end = other + end - start
        here, there = raw[start:end], raw[other:other_end]
        raw[start:end] = there
        raw[other:other_end] = here

    def insert() -> None:
        start, end = span()
        raw[start:start] = rng.randbytes(end - start)

    def drop() -> None:
        start, end = span()
        del raw[start:end]

    def truncate() -> None:
        del raw[int(len(raw) * rng.random()) :]

    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if raw:
            rng.choice([flips, flips, flips, zero, exchange, insert, drop, truncate])()
    return bytes(raw)


# --- The recipes ------------------------------------------------------------------------------------------------------

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n#EXT-X-ENDLIST\n"
FFCONCAT = b"ffconcat version 1.0\nfile '%s'\n"
MPD = b"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S" minBufferTime="PT1S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4">
<Representation id="0" bandwidth="100000" width="96" height="64"><BaseURL>%s</BaseURL></Representation>
</AdaptationSet></Period></MPD>
"""
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


def make_corpus(folder: Path) -> list[Case]:
    """Makes the whole corpus in a folder.

    Args:
        folder: An existing, empty folder.

    Returns:
        The cases, in a fixed order; those that cannot be made here are left out and named in `LEFT_OUT`.
    """
    os.environ.setdefault("SVT_LOG", "1")  # its banner goes to stderr, past FFmpeg's log
    LEFT_OUT.clear()
    cases = []
    for recipe in [*_no_files(), *_no_videos(), *_containers(), *_damage(), *_times(), *_pixels(), *_lies(), *_names()]:
        path = folder / recipe.file
        name = recipe.name or recipe.file
        try:
            made = recipe.make(path)
            if isinstance(made, bytes):
                path.write_bytes(made)
        except (av.FFmpegError, av.codec.codec.UnknownCodecError, OSError) as error:
            LEFT_OUT[name] = f"{type(error).__name__}: {error}"
            continue
        cases.append(
            Case(
                name=name,
                path=made if isinstance(made, str) else str(path),
                expected=frozenset(recipe.expected.split()),
                frames=recipe.frames,
                why=recipe.why,
            )
        )
    return cases


def _no_files() -> list[_Recipe]:
    """Returns paths that are no regular file, or none that FFmpeg may be let near."""

    def plain(path: Path) -> bytes:
        return movie(path, "mp4")

    def linked(target: str) -> Make:
        return lambda path: path.symlink_to(target)

    def url(form: str) -> Make:
        """The target exists, so that a prober that lets FFmpeg interpret the path opens it."""

        def make(path: Path) -> str:
            target = path.with_suffix(".target.mp4")
            target.write_bytes(movie(target))
            return form.format(file=target)

        return make

    def script(text: bytes) -> Make:
        def make(path: Path) -> bytes:
            target = path.with_name(f"{path.name.replace('.', '_')}_target.mp4")
            target.write_bytes(movie(target))
            return text % os.fsencode(target.name) if b"%s" in text else text

        return make

    def pattern(path: Path) -> str:
        for index in range(1, 9):
            path.with_name(f"{path.name}{index:03}.png").write_bytes(still("png", "rgb24"))
        return f"{path}%03d.png"

    def device(target: str) -> Make:
        def make(path: Path) -> None:
            if not stat.S_ISCHR(Path(target).stat().st_mode):
                raise OSError(f"{target} is no device")
            path.symlink_to(target)

        return make

    def locked(path: Path) -> None:
        if os.geteuid() == 0:
            raise OSError("root may read everything")
        path.write_bytes(plain(path))
        path.chmod(0)

    return [
        _Recipe("missing.mp4", "missing", str, "no such file"),
        _Recipe("broken_link.mp4", "missing", linked("nowhere.mp4"), "symbolic link to nothing"),
        _Recipe("link_loop.mp4", "missing unreadable", linked("link_loop.mp4"), "symbolic link to itself (ELOOP)"),
        _Recipe("directory.mp4", "unreadable", lambda path: path.mkdir(), "a folder"),
        _Recipe("no_permission.mp4", "unreadable", locked, "mode 000"),
        _Recipe("empty.mp4", "empty", lambda path: b"", "0 bytes"),
        _Recipe("fifo.mp4", "refused", os.mkfifo, "opening it blocks for ever"),
        _Recipe("dev_zero.mp4", "refused", device("/dev/zero"), "link to a device: endless"),
        _Recipe("dev_null.mp4", "refused", device("/dev/null"), "link to a device: empty"),
        _Recipe("url_http", "refused", lambda path: "http://127.0.0.1:9/clip.mp4", "would open a connection"),
        _Recipe("url_file", "refused", url("file:{file}"), "protocol prefix"),
        _Recipe("url_concat", "refused", url("concat:{file}|{file}"), "protocol that reads other files"),
        _Recipe("url_subfile", "refused", url("subfile,,start,0,end,0,,:{file}"), "protocol with options"),
        _Recipe("url_crypto", "refused", url("crypto:{file}"), "nested protocol"),
        _Recipe("url_data", "refused", lambda path: "data:video/mp4;base64,AAAAIGZ0eXA=", "the path is the content"),
        _Recipe("url_pipe", "refused", lambda path: "pipe:0", "would read standard input"),
        _Recipe("url_rtsp", "refused", lambda path: "rtsp://127.0.0.1:9/live", "would open a connection"),
        _Recipe("sequence", "missing refused", pattern, "image2 pattern beside 8 matching pictures"),
        _Recipe("playlist.m3u8", "refused", script(PLAYLIST), "HLS playlist of a good file"),
        _Recipe("playlist_as.mp4", "refused", script(PLAYLIST), "HLS playlist of a good file, called .mp4"),
        _Recipe(
            "playlist_http.mp4", "refused", lambda path: PLAYLIST % b"http://127.0.0.1:9/x.ts", "HLS to the network"
        ),
        _Recipe(
            "playlist_secret.mp4", "refused", lambda path: PLAYLIST % b"file:///etc/hostname", "HLS to a local file"
        ),
        _Recipe("script.ffconcat", "refused", script(FFCONCAT), "concat script of a good file"),
        _Recipe("script_as.mp4", "refused", script(FFCONCAT), "concat script of a good file, called .mp4"),
        _Recipe("manifest.mpd", "refused unreadable", script(MPD), "DASH manifest of a good file"),
        _Recipe("manifest_as.mp4", "refused unreadable", script(MPD), "DASH manifest of a good file, called .mp4"),
        _Recipe("session.sdp", "refused", lambda path: SDP, "would listen on a socket"),
        _Recipe("session_as.mp4", "refused", lambda path: SDP, "SDP called .mp4"),
    ]


def _no_videos() -> list[_Recipe]:
    """Returns files with something else inside, or with too little."""

    def text(path: Path) -> bytes:
        return b"Dear reviewer,\nthis is no video.\n" * 40

    def wav(path: Path) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(bytes(16000))
        return file.getvalue()

    def subtitles(path: Path) -> bytes:
        return b"".join(b"%d\n00:00:0%d,000 --> 00:00:0%d,900\nline\n\n" % (n, n, n) for n in range(1, 9))

    def nothing(fmt: str, **mux: str) -> Make:
        return lambda path: remux(movie(path, "mp4"), fmt, lambda all_: [], mux)

    def silent_track(path: Path) -> bytes:
        return combine("mkv", movie(path, "mp4"), sound("wav", "pcm_s16le"), keep=lambda all_: [])

    def motion_photo(path: Path) -> bytes:
        return still("mjpeg", "yuvj420p") + movie(path, "mp4")

    noise = random.Random(0).randbytes(20_000)
    return [
        _Recipe("random.mp4", "unreadable", lambda path: noise, "20 kB of noise"),
        _Recipe("zeros.mp4", "unreadable", lambda path: bytes(20_000), "20 kB of zeros, as a failed copy leaves"),
        _Recipe("text.mp4", "unreadable", text, "a text"),
        _Recipe("text.txt", "unreadable refused", text, "a text by its right name: FFmpeg's tty demuxer paints it"),
        _Recipe(
            "page.mp4",
            "unreadable",
            lambda path: b"<!DOCTYPE html><html>404</html>" * 9,
            "an error page saved as a video",
        ),
        _Recipe("archive.mp4", "unreadable", lambda path: b"PK\x03\x04" + noise, "a zip archive"),
        _Recipe("subtitles.mp4", "no_video_stream unreadable", subtitles, "SubRip text called .mp4"),
        _Recipe("tone.wav", "no_video_stream", wav, "sound only"),
        _Recipe("tone.mp4", "no_video_stream", lambda path: sound("mp4", "aac"), "sound only in a video container"),
        _Recipe(
            "cover.mp3", "no_video_stream", lambda path: sound("mp3", "libmp3lame", cover=True), "cover art is no video"
        ),
        _Recipe("cover.mp4", "no_video_stream", lambda path: sound("mp4", "aac", cover=True), "cover art is no video"),
        _Recipe("png.mp4", "too_short", lambda path: still("png", "rgb24"), "one picture called .mp4"),
        _Recipe("jpeg.mp4", "too_short", lambda path: still("mjpeg", "yuvj420p"), "one picture called .mp4"),
        _Recipe(
            "picture.png",
            "too_short refused",
            lambda path: still("png", "rgb24"),
            "one picture: image2 demuxer by name",
        ),
        _Recipe(
            "picture.avif",
            "too_short",
            encoded(frames=1, codec="libsvtav1", size=(64, 64)),
            "one picture in an MP4-like container",
        ),
        _Recipe("motion_photo.jpg", "too_short refused unreadable", motion_photo, "a JPEG with an MP4 behind it"),
        _Recipe("one_frame.mp4", "too_short", encoded(frames=1), "a single frame"),
        _Recipe(
            "one_frame_with_sound.mp4",
            "too_short",
            lambda path: combine("mp4", movie(path, "mp4", frames=1), sound("mp4", "aac")),
            "music with a picture",
        ),
        _Recipe("no_frames.mp4", "too_short", nothing("mp4", movflags="empty_moov"), "a header, and nothing behind it"),
        _Recipe("no_frames.mkv", "too_short unreadable", nothing("mkv"), "a header alone, which FFmpeg does not open"),
        _Recipe("no_frames_but_sound.mkv", "too_short", silent_track, "a video track without packets beside sound"),
    ]


def _containers() -> list[_Recipe]:
    """Returns healthy files in every ordinary container, and streams in odd company."""

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
        _ok("plain.mp4", movie, "nothing odd"),
        _ok("faststart.mp4", encoded("mp4", mux=FASTSTART), "moov first"),
        _ok("fragmented.mp4", encoded("mp4", mux=FRAGMENTS), "no frame count in the header"),
        _Recipe("copy.mp4", "ok duplicate", copy, "the same bytes as another file", frames=24),
        _Recipe(
            "link.mp4",
            "ok duplicate",
            lambda path: path.symlink_to("plain.mp4"),
            "link to a file of the corpus",
            frames=24,
        ),
        _ok("plain.mov", movie, "QuickTime"),
        _ok("plain.mkv", movie, "Matroska: no frame count"),
        _ok(
            "live.webm",
            encoded("webm", codec="libvpx", mux={"live": "1"}),
            "as a browser records: no duration, no index",
        ),
        _ok("plain.avi", movie, "H.264 with B-frames in AVI: decoding timestamps only"),
        _ok("packed.avi", packed, "MPEG-4 with packed B-frames: two frames in a packet, then an empty one", frames=25),
        _ok("xvid.avi", encoded("avi", codec="mpeg4"), "MPEG-4 part 2"),
        _ok("plain.ts", movie, "transport stream: no frame count, no index"),
        _ok("plain.mpg", encoded("mpg", **mpeg), "program stream: most packets lack timestamps"),
        _ok("plain.flv", movie, "Flash video"),
        _ok("plain.wmv", encoded("wmv", codec="wmv2"), "Windows Media"),
        _ok("plain.3gp", encoded("3gp", codec="h263", size=(176, 144)), "H.263, as old phones record"),
        _ok("plain.mxf", encoded("mxf", codec="mpeg2video", rate=25), "broadcast container"),
        _ok("plain.gif", encoded("gif", codec="gif", pix_fmt="rgb8", rate=25), "animation with a palette"),
        _ok("plain.apng", encoded("apng", codec="apng", pix_fmt="rgb24"), "animated PNG"),
        _ok("plain.y4m", encoded("y4m", codec="wrapped_avframe"), "raw video with a header"),
        _ok("plain.h264", movie, "bare H.264: no timestamps, no duration"),
        _ok("plain.hevc", encoded("hevc", codec="libx265"), "bare HEVC: no timestamps, no duration"),
        _ok("bare_h264.mp4", encoded("h264"), "bare H.264 called .mp4"),
        _ok("mjpeg.avi", encoded("avi", codec="mjpeg", pix_fmt="yuvj420p"), "every frame a JPEG"),
        _ok("bare.mjpeg", encoded("mjpeg", codec="mjpeg", pix_fmt="yuvj420p"), "JPEGs one after the other"),
        _ok("ffv1.mkv", encoded("mkv", codec="ffv1"), "lossless"),
        _ok("av1.mkv", encoded("mkv", codec="libsvtav1", size=(64, 64)), "AV1"),
        _ok(
            "vp9.webm",
            encoded("webm", codec="libvpx-vp9", options={"auto-alt-ref": "1", "lag-in-frames": "8"}),
            "hidden reference frames in superframes",
        ),
        _ok("two_videos.mkv", two, "two video streams: the larger one counts"),
        _ok("crowd.mkv", crowd, "sound first, then video, subtitles and an attached font"),
        _ok("with_sound.mp4", encoded("mp4", audio="aac"), "video and sound"),
        _ok("sound_first.mkv", encoded("mkv", audio="flac", audio_first=True), "the video is stream 1"),
        _ok("cover_and_video.mp4", cover_first, "a cover larger than the video: the video counts"),
        _ok("trailing_garbage.mp4", lambda path: movie(path) + b"\xff" * 5000, "bytes behind the last box"),
        _ok("leading_garbage.ts", lambda path: b"\x11" * 1000 + movie(path), "bytes before the first packet"),
        _ok(
            "two_files_in_one.mp4",
            lambda path: movie(path) + movie(path.with_name("b.mp4")),
            "cat a.mp4 b.mp4: the first one plays",
        ),
        _ok("remuxed.mkv", kept("mkv"), "packets copied from MP4"),
    ]


def _damage() -> list[_Recipe]:
    """Returns files that were cut short or hurt."""

    def rich(path: Path, fmt: str | None = None, codec: str = "libx264", **settings: Any) -> bytes:
        """Frames large enough that damage falls into them, not beside them."""
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
        _Recipe("no_moov.mp4", "unreadable", mdat_only, "recording that was never closed: no index"),
        _Recipe("cut_moov.mp4", "unreadable truncated", cut_at(0.9), "cut inside the index at the end"),
        _Recipe("cut.mp4", "truncated", cut_at(0.6, mux=FASTSTART), "index first, 60 % of the bytes"),
        _Recipe(
            "cut_last_byte.mp4", "truncated corrupt", lambda path: movie(path, mux=FASTSTART)[:-1], "one byte short"
        ),
        _Recipe(
            "cut_all_frames.mp4",
            "truncated",
            lambda path: (lambda d: d[: box(d, b"mdat") + 4])(movie(path, mux=FASTSTART)),
            "index first, and no frame",
        ),
        _Recipe(
            "cut_fragments.mp4",
            "truncated corrupt ok",
            cut_behind(b"mdat", 20),
            "fragmented, cut inside the data of the last but one",
            frames=12,
        ),
        _Recipe(
            "cut_fragments_head.mp4",
            "truncated unreadable",
            cut_behind(b"trun", 12),
            "fragmented, cut inside the index of the last but one",
        ),
        _Recipe("cut.mkv", "truncated", cut_at(0.6), "60 % of the bytes"),
        _Recipe("cut_header.mkv", "unreadable", lambda path: movie(path)[:120], "cut inside the header"),
        _Recipe("cut.avi", "truncated", cut_at(0.6, codec="mpeg4"), "60 % of the bytes, index lost"),
        _Recipe("cut.flv", "truncated", cut_at(0.6), "60 % of the bytes"),
        _Recipe(
            "cut.gif",
            "ok truncated corrupt",
            cut_at(0.6, codec="gif", pix_fmt="rgb8", rate=25),
            "60 % of the bytes; no frame count in the header",
        ),
        _Recipe("cut.ts", "ok truncated corrupt", cut_at(0.6), "no header promises anything"),
        _Recipe(
            "mid_gop.ts",
            "ok corrupt",
            from_packet(3, "ts", options={"g": "12", "sc_threshold": "0"}),
            "begins between keyframes, as recordings off the air do",
            frames=12,
        ),
        _Recipe("lost_packet.mkv", "ok corrupt truncated", without(8), "one packet is missing", frames=23),
        _Recipe(
            "bit_flips.mp4",
            "corrupt",
            hurt(lambda d: flip(d, 0.3, 0.6, 97), mux=FASTSTART),
            "flipped bits in H.264 data",
        ),
        _Recipe(
            "bit_flips.mkv",
            "corrupt ok",
            hurt(lambda d: flip(d, 0.3, 0.6, 997), codec="ffv1", options={"slicecrc": "1", "level": "3"}),
            "checksums fail, which FFmpeg only logs",
            frames=24,
        ),
        _Recipe(
            "bit_flips.avi",
            "corrupt",
            hurt(lambda d: flip(d, 0.3, 0.6, 97), codec="mpeg4"),
            "flipped bits in MPEG-4 data",
        ),
        _Recipe(
            "bit_flips_index.mp4",
            "corrupt truncated unreadable",
            hurt(lambda d: flip(d, 0.02, 0.3, 61), mux=FASTSTART),
            "flipped bits in the index",
        ),
        _Recipe("zero_block.mp4", "corrupt", hurt(lambda d: blank(d, 0.5, 0.7), mux=FASTSTART), "a lost disk block"),
        _Recipe(
            "zero_frames.mp4",
            "corrupt",
            hurt(lambda d: blank(d, box(d, b"mdat") / len(d), 1), mux=FASTSTART),
            "sparse file: every frame is zeros",
        ),
        # Its bytes differ a little from run to run; at times the lost packets are whole frames, and the rest decodes.
        _Recipe("zero_block.ts", "corrupt ok", hurt(lambda d: blank(d, 0.4, 0.6)), "lost packets"),
        _Recipe("far_offset.mp4", "corrupt truncated", hurt(far_offset), "the index points behind the end"),
        _Recipe(
            "encrypted.mp4", "corrupt unsupported_codec", hurt(bytes, mux=drm), "encrypted: opens, decodes to garbage"
        ),
    ]


def _times() -> list[_Recipe]:
    """Returns videos with odd timestamps and odd groups of pictures."""

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
        _ok("vfr.mp4", stamped(steps, tick), "steps from 4 to 160 ms", frames=20),
        _ok("vfr_pause.mkv", stamped([*range(12), *range(5000, 5012)], Fraction(1, 24)), "a gap of three minutes"),
        _ok("edit_list.mp4", trimmed_by_list, "an edit list hides the first 6 frames", frames=18),
        _ok(
            "negative_start.mp4",
            stamped(range(-6, 18), Fraction(1, 24), options={"bf": "0"}),
            "6 frames before time 0: the muxer hides them",
            frames=18,
        ),
        _ok(
            "wrapped_start.flv",
            stamped(range(-6, 18), Fraction(1, 24), mux={"avoid_negative_ts": "disabled"}, options={"bf": "0"}),
            "time begins before 0, which wraps to 24 days",
        ),
        _ok("late_start.ts", stamped(range(10**6, 10**6 + 24), Fraction(1, 24)), "time begins after 11 hours"),
        _ok("wrap.ts", stamped(wrap, ninety, mux={"mpegts_copyts": "1"}), "the 33-bit clock wraps in the middle"),
        _ok(
            "twin_stamps.mkv",
            stamped([n // 2 for n in range(24)], Fraction(1, 12), codec="ffv1"),
            "each timestamp twice",
        ),
        _ok("frozen_clock.mp4", frozen, "all frames at time 0"),
        _ok(
            "fast_clock.mkv",
            stamped(range(24), Fraction(1, 5000), codec="ffv1"),
            "five frames in each millisecond of Matroska's clock",
        ),
        _ok("one_keyframe.mkv", encoded(options={"g": "9999"}), "nowhere to seek to"),
        _ok(
            "b_pyramid.mp4", encoded(options={"x264-params": "bframes=7:b-pyramid=normal:b-adapt=0"}), "deep reordering"
        ),
        _ok("intra_refresh.mp4", encoded(options=refresh), "no keyframe after the first, only recovery points"),
        _ok("open_gop.mp4", encoded(options=x264_open), "H.264 with leading pictures"),
        _ok("open_gop_hevc.mp4", encoded(codec="libx265", options=x265_open), "HEVC with leading pictures"),
        _Recipe(
            "open_gop_cut.ts",
            "ok corrupt",
            from_second_key("ts", options=x264_open),
            "begins with leading pictures that cannot be decoded",
            frames=16,
        ),
        _Recipe(
            "open_gop_cut_hevc.mkv",
            "ok truncated",
            from_second_key("mkv", codec="libx265", options=x265_open),
            "begins with leading pictures that the decoder drops",
            frames=16,
        ),
        _ok(
            "size_change.ts",
            joined("ts", size=(128, 80)),
            "another size from the middle on, and the clock begins anew",
            frames=48,
        ),
        _ok("size_change.h264", joined("h264", size=(128, 80)), "another size from the middle on, no clock", frames=48),
        _ok("format_change.ts", joined("ts", pix_fmt="yuv444p"), "another pixel format from the middle on", frames=48),
        _ok(
            "many_frames.mp4",
            encoded(frames=1500, size=(16, 16), options={"preset": "ultrafast"}),
            "a minute of thumbnails",
            frames=1500,
        ),
    ]


def _pixels() -> list[_Recipe]:
    """Returns videos with odd pixels: formats, shapes, turns, sizes."""

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
        _ok("rotated_90.mp4", turned(90), "display matrix: a quarter turn"),
        _ok("rotated_180.mp4", turned(180), "display matrix: upside down"),
        _ok("rotated_270.mov", turned(-90), "display matrix: three quarter turns"),
        _ok("rotated_30.mp4", turned(30), "display matrix: no right angle"),
        _ok("mirrored.mp4", mirrored, "display matrix: mirrored, as selfie cameras do"),
        _ok("wide_pixels.mp4", encoded(stream=wide), "pixels 4:3"),
        _ok("interlaced.mkv", encoded(options={"x264-params": "interlaced=1:tff=1"}), "interlaced H.264"),
        _ok(
            "interlaced.mpg",
            encoded(codec="mpeg2video", rate=25, options={"flags": "+ildct+ilme"}),
            "interlaced MPEG-2",
        ),
        _ok("full_range.mp4", in_("libx264", "yuvj420p", stream=full), "luma from 0 to 255"),
        _ok("hevc_10_bit.mp4", in_("libx265", "yuv420p10le"), "10 bits, as phones record"),
        _ok("h264_10_bit_422.mkv", in_("libx264", "yuv422p10le"), "10 bits 4:2:2"),
        _ok("yuv444.mp4", in_("libx264", "yuv444p"), "no chroma subsampling"),
        _ok("rgb.mkv", in_("libx264rgb", "rgb24"), "H.264 in RGB"),
        _ok("gray.mkv", in_("ffv1", "gray"), "no chroma at all"),
        _ok("gray_16.mkv", in_("ffv1", "gray16le"), "16 bits, no chroma"),
        _ok("gray_h264.mp4", in_("libx264", "gray"), "H.264 without chroma"),
        _ok(
            "alpha_vp9.webm",
            in_("libvpx-vp9", "yuva420p", options={"auto-alt-ref": "0"}),
            "transparency in a second stream",
        ),
        _ok("alpha_qtrle.mov", in_("qtrle", "argb"), "transparency"),
        _ok("alpha_prores.mov", in_("prores_ks", "yuva444p10le"), "transparency at 10 bits"),
        _ok("alpha_png.mov", in_("png", "rgba"), "transparency in PNG"),
        _ok("rgb_48.mov", in_("png", "rgb48be"), "16 bits a channel, big-endian"),
        _ok("raw.avi", in_("rawvideo", "bgr24"), "uncompressed, bottom row first"),
        _ok("odd_size.mkv", in_("ffv1", "yuv420p", size=(65, 47)), "odd sides with subsampled chroma"),
        _ok("odd_size.webm", in_("libvpx-vp9", "yuv420p", size=(65, 47)), "odd sides with subsampled chroma"),
        _ok("odd_size.mp4", in_("libx264", "yuv444p", size=(65, 47)), "odd sides, cropped from macroblocks"),
        _ok("tiny.mp4", in_("libx264", "yuv420p", size=(2, 2)), "2 x 2 pixels"),
        _ok("one_pixel.mkv", in_("ffv1", "bgr0", size=(1, 1)), "one pixel"),
        _ok("sliver.mkv", in_("libx264", "yuv420p", size=(2048, 2)), "1024 times as wide as high"),
        _ok("tower.mkv", in_("libx264", "yuv420p", size=(2, 1024)), "512 times as high as wide"),
    ]


def _lies() -> list[_Recipe]:
    """Returns small files with headers that claim something huge, or something unknown."""

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
        """Two million frames of one byte in one chunk: small on disk, large once indexed."""
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
        _Recipe(
            "bomb.mov",
            "too_large",
            lambda path: declare("mov", "png", (16000, 16000), [flat_png(16000)] * 2),
            "true 16000 x 16000 pictures in few bytes",
        ),
        _Recipe(
            "huge_16k.mkv",
            "too_large corrupt",
            huge_mkv(16000),
            "claims 16000 x 16000, which FFmpeg would allocate",
        ),
        _Recipe(
            "huge_30k.mkv",
            "too_large unreadable corrupt",
            huge_mkv(30000),
            "header claims 30000 x 30000, beyond FFmpeg's own limit",
        ),
        _Recipe("huge_vp8.webm", "too_large", huge_vp8, "every keyframe claims 16383 x 16383"),
        _Recipe("huge_mpeg2.m2v", "too_large corrupt", huge_mpeg2, "every sequence header claims 4095 x 4095"),
        _Recipe(
            "huge_gif.gif",
            "too_large corrupt unreadable",
            patched(lambda d: poke(d, 6, b"\xff\xff\xff\xff"), codec="gif", pix_fmt="rgb8", rate=25),
            "screen of 65535 x 65535",
        ),
        _Recipe(
            "huge_raw.y4m",
            "too_large unreadable",
            lambda path: b"YUV4MPEG2 W30000 H30000 F24:1 C420\nFRAME\n" + bytes(9999),
            "raw frames of 1.3 GB",
        ),
        _ok("long_claim.mp4", patched(times), "duration of 2^31 ticks, 24 frames"),
        _Recipe(
            "long_claim.mkv", "ok too_large truncated", patched(times_mkv), "duration of 70 years, 24 frames", frames=24
        ),
        _Recipe(
            "count_claim.avi",
            "ok too_large truncated",
            patched(counts_avi, codec="mpeg4"),
            "2^31 frames, 24 frames",
            frames=24,
        ),
        _Recipe(
            "count_claim.mp4",
            "ok too_large truncated",
            patched(counts),
            "time table of 2^31 frames, 24 frames",
            frames=24,
        ),
        _Recipe(
            "index_claim.mp4", "too_large truncated corrupt", patched(index), "two million frames that are not there"
        ),
        _Recipe("nested.mp4", "unreadable", nested, "5000 boxes inside each other"),
        _Recipe("unknown_codec.mp4", "unsupported_codec", patched(fourcc(b"avc1", b"zzzz")), "unknown fourcc"),
        _Recipe(
            "unknown_codec.avi", "unsupported_codec", patched(fourcc(b"FMP4", b"zzzz"), codec="mpeg4"), "unknown fourcc"
        ),
        _Recipe(
            "unknown_codec.mkv",
            "unsupported_codec",
            patched(fourcc(b"V_MPEG4/ISO/AVC", b"V_CLIPFOLD/TEST")),
            "unknown codec name",
        ),
        _Recipe(
            "evc.mp4",
            "unsupported_codec",
            patched(fourcc(b"avc1", b"evc1")),
            "EVC: known to FFmpeg, but without a decoder",
        ),
    ]


def _names() -> list[_Recipe]:
    """Returns good videos with names that break shells, patterns, globs, URLs or guesses by suffix."""

    def good(name: str, file: str, fmt: str = "mp4") -> _Recipe:
        return _ok(file, lambda path: movie(path, fmt), f"a good video called {file!a}", name=f"name_{name}")

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
