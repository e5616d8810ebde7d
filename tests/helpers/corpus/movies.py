"""Make pictures, streams and video files with PyAV."""

from __future__ import annotations

import functools
import io
import itertools
import os
import struct
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

Image = np.ndarray[Any, np.dtype[np.uint8]]
"""A picture: `uint8` (height, width, 3), RGB."""

Make = Callable[[Path], bytes | str | None]
"""A function that returns the file's bytes, or another path to use, or None if it made the file itself."""

MUXERS = {"m2v": "mpeg2video", "mkv": "matroska", "mpg": "vob", "ts": "mpegts", "wmv": "asf", "y4m": "yuv4mpegpipe"}
"""Muxers whose names differ from the suffix."""

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
    """Draw frame `index`: a drifting gradient, a moving square and some grain, in colours set by 24 bits of seed."""
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
    """Make a video file and return its bytes.

    Args:
        path: future path of the file; its name seeds the pictures, so that all files of the corpus differ.
        fmt: suffix that names the container; by default that of the path.
        pts: timestamps of the frames in units of `tick`; by default 0, 1, 2, ... in frames.
        options: options of the encoder, on top of quiet and fast defaults.
        mux: options of the muxer.
        stream: function that sets up the video stream before anything is encoded.
        frame: function that changes each frame before it is encoded.
        audio: codec of a sine tone to add.
    """
    seed = zlib.crc32(os.fsencode(path.name))
    clock = tick or Fraction(1, rate)
    reformat = VideoReformatter().reformat
    scratch = path.with_name(".scratch")  # a real file, since `faststart` reopens it
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
    """Return the recipe of a `movie` with these settings."""
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
    """Return one second of a tone, optionally with a picture as its cover."""
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
    """A compressed frame without container."""

    data: bytes
    pts: int | None
    dts: int | None
    key: bool


def parcels(data: bytes) -> list[Parcel]:
    """Return the packets of the first video stream."""
    with av.open(io.BytesIO(data), "r") as source:
        return [Parcel(bytes(p), p.pts, p.dts, p.is_keyframe) for p in source.demux(video=0) if p.size]


def remux(
    data: bytes, fmt: str, keep: Callable[[list[Parcel]], list[Parcel]], mux: dict[str, str] | None = None
) -> bytes:
    """Copy the video stream into another container, with the packets that `keep` returns."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(data)) as source,
        av.open(file, "w", format=_muxer(fmt), container_options=mux or {}) as out,
    ):
        origin = source.streams.video[0]
        stream = out.add_stream_from_template(origin, opaque=True)
        out.start_encoding()  # otherwise a file without packets gets no header
        for parcel in keep(parcels(data)):
            packet = av.Packet(parcel.data)
            packet.stream, packet.time_base = stream, cast(Fraction, origin.time_base)
            packet.pts, packet.dts, packet.is_keyframe = parcel.pts, parcel.dts, parcel.key
            out.mux(packet)
    return file.getvalue()


def still(codec: str, pix_fmt: str) -> bytes:
    """Return one compressed picture, like the content of a .png or .jpg file."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = SIZE
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 24)
    frame = av.VideoFrame.from_ndarray(picture(0), "rgb24").reformat(format=pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def declare(fmt: str, codec: str, size: tuple[int, int], packets: Sequence[bytes]) -> bytes:
    """Return a file whose header declares `codec` and `size`, whatever the packets say."""
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
    """Combine the streams of several files into one file, in the given order.

    Args:
        covers: number of leading files that are cover art.
        attach: add an attachment.
        keep: function that selects packets of each video stream.
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
    """Pack each B-frame of an I P B P B ... MPEG-4 stream into the packet before it, as DivX 5 does in AVI.

    The freed packet holds an empty picture (vop_coded = 0), and the user data says so (the final `p`).
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
