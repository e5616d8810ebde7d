"""Open video files that may be hostile."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from clipfold.status import Status
from clipfold.status import Unusable as Unusable
from clipfold.storage.members import closed_archive, find_member, open_source, split_member

# Formats that hold their own data. Sound and single images are included, so that they get a precise status.
# Playlists and scripts are left out, because they name other files to open.
_FORMATS = (
    "3g2,3gp,amv,apng,asf,av1,avi,cavsvideo,dv,evc,f4v,flv,gif,h261,h263,h264,hevc,ivf,m4v,matroska,mj2,mjpeg,mov,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nsv,nut,obu,ogg,rm,vc1,vvc,webm,wtv,yuv4mpegpipe,aac,aiff,flac,m4a,mp3,wav,bmp_pipe,jpeg_pipe,"
    "png_pipe,webp_pipe"
)
_PLAYLIST = rb"#EXTM3U|ffconcat version|\[playlist\]|v=0\s|(<\?xml[^>]*>\s*)?<(MPD|SmoothStreamingMedia)"
# How files begin that are no videos, and what to say of them.
_OTHERS = {
    rb"version https://git-lfs\.github\.com/spec/": "a Git LFS pointer, not the video: `git lfs pull` fetches it",
    rb"[./]*(git)?/annex/objects/": "a git-annex pointer, not the video: `git annex get` fetches it",
    rb"<(!doctype|html|\?xml)": "a web page or XML, not a video: the download may have failed",
    rb'(\[\s*)?\{\s*"': "JSON, not a video: the download may have failed",
    rb"%PDF-": "a PDF document, not a video",
    rb"PK\x03\x04|\x1f\x8b\x08|BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|Rar!\x1a|\(\xb5/\xfd": "an archive, not a video: unpack it",
}
# A WebP whose header has the bit for animation, or that has a chunk with its loop.
_ANIMATED_WEBP = rb"RIFF.{4}WEBPVP8X.{4}([%b]|.{10,4000}?ANIM)" % re.escape(bytes(i for i in range(256) if i & 2))
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.,-]*:")


# Errors on opening that say something about the file or its name. All others, such as too many open files, a stale
# network mount or a bad disk, say something about the machine, as does any error on reading an open file.
_FACTS = frozenset(
    {None}  # raised by Python
    | {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM}
    | {errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.EILSEQ}
)


class NotTheVideo(RuntimeError):
    """A cause beyond the video, such as a fault of the machine: it ends the job, which may be tried again."""


@contextmanager
def open_video(path: str, max_pixels: int, *, analyse: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local file and choose its video stream; no other file is ever opened.

    Python opens the file, so FFmpeg never interprets its name as a URL. Only containers that hold their own data are
    allowed, and a demuxer that asks for another file is refused.

    Args:
        path: a regular file, or a member of a tar file.
        max_pixels: most pixels of a frame; larger ones are refused while opening. The stream's decoder has no limit.
        analyse: let FFmpeg decode the first frames on opening, as it does by default. This finds out how far frames are
            reordered where the stream does not say so, and takes as long as decoding a tenth of a short clip.

    Raises:
        Unusable: the file cannot be opened or has no usable video stream.
    """
    check_file(path)
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_pixels": str(max_pixels)}
    if not analyse:
        options["skip_frame"] = "all"  # only applies while opening
    with _opened(path) as file:
        _check_head(file.read(4096))
        file.seek(0)
        try:
            container = av.open(
                file, "r", options=options, metadata_errors="replace", buffer_size=1 << 16, io_open=_refuse
            )
        except (av.error.FFmpegError, ValueError, EOFError) as error:
            raise Unusable(Status.UNREADABLE, f"cannot be opened: {describe(error)}") from None
        with container:
            yield container, _choose_stream(container)


def packets_of(container: InputContainer, *streams: VideoStream) -> Iterator[av.Packet[Any]]:
    """Yield the packets of the streams; of all, if none is given."""
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:  # PyAV does not know a stream that begins on the way: pass its packet over
            continue


def check_file(path: str) -> None:
    """Check that a path is a regular file with some bytes, or such a member of a tar file.

    Raises:
        Unusable: it is none, or cannot be looked at.
    """
    file = Path(path)
    try:
        if not file.exists():
            _check_member(path)
            return
        if not file.is_file():
            raise Unusable(Status.UNREADABLE if file.is_dir() else Status.REFUSED, "not a regular file")
        if file.stat().st_size == 0:
            raise Unusable(Status.EMPTY, "0 bytes")
    except (OSError, ValueError) as error:  # a link loop, a name that is too long, no permission
        raise Unusable(Status.UNREADABLE, describe(error)) from None


def _check_member(path: str) -> None:
    """Check a path that is no file: it may be a member of a tar file."""
    if split := split_member(path):
        if find_member(*split).size == 0:
            raise Unusable(Status.EMPTY, "0 bytes")
    elif archive := closed_archive(path):
        name = Path(archive).name
        reason = f"members of {name} cannot be opened in place: unpack it, or make it a plain .tar"
        raise Unusable(Status.UNREADABLE, reason)
    elif _URL.match(path) or _URL.match(Path(path).name):
        raise Unusable(Status.REFUSED, "a URL, not a file: only local files are opened")
    else:
        raise Unusable(Status.MISSING, "no such file")


def _check_head(head: bytes) -> None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()  # a mark of UTF-8, blanks
    if re.match(_PLAYLIST, text, re.I):
        raise Unusable(Status.REFUSED, "a playlist or script that names other files, not a video")
    if re.match(_ANIMATED_WEBP, head, re.S):
        reason = (
            "animated WebP, which this FFmpeg cannot decode: convert it, as with ImageMagick: magick IN.webp OUT.mp4"
        )
        raise Unusable(Status.UNSUPPORTED_CODEC, reason)
    for pattern, reason in _OTHERS.items():
        if re.match(pattern, text, re.I):
            raise Unusable(Status.UNREADABLE, reason)


def _opened(path: str) -> BinaryIO:
    try:
        return open_source(path)
    except OSError as error:
        raise Unusable(Status.UNREADABLE, describe(error)) from None


def _refuse(url: str, flags: Any, options: Any) -> NoReturn:
    raise Unusable(Status.REFUSED, f"the file asks to open {url!r}")


def is_fault(error: Exception) -> bool:
    """Check whether reading failed because of the machine, not of the video.

    FFmpeg's own I/O errors are facts about the video, such as a file that ends early: Python opens and reads the files.
    """
    ffmpegs = isinstance(error, av.error.FFmpegError)
    return isinstance(error, OSError) and not ffmpegs and error.errno not in _FACTS


def describe(error: Exception) -> str:
    """Return FFmpeg's error text, without the path that PyAV adds.

    Raises:
        MemoryError, OSError: the same error, if it may be no fact about the video.
    """
    if isinstance(error, MemoryError) or is_fault(error):
        raise error
    return getattr(error, "strerror", None) or str(error)


def _choose_stream(container: InputContainer) -> VideoStream:
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        kinds: list[str] = sorted({s.type for s in container.streams}) or ["none"]
        raise Unusable(Status.NO_VIDEO_STREAM, f"no video stream; streams: {', '.join(kinds)}")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if stream.codec_context is None:
        raise Unusable(Status.UNSUPPORTED_CODEC, "no decoder for the video stream")
    stream.codec_context.thread_count = 1  # run videos in parallel instead: this scales and keeps memory flat
    stream.codec_context.skip_frame = "DEFAULT"
    for other in container.streams:
        if other is not stream and other.type != "audio":
            other.discard = av.stream.Discard.all
    return stream
