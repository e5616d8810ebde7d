"""Opening files that may be hostile."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from clipfold.video.status import Status

# Formats that hold their own data, sound and single images among them so that they are told apart from rubbish.
# Not among them: playlists and scripts, which name other files to open.
_FORMATS = (
    "3g2,3gp,amv,apng,asf,av1,avi,cavsvideo,dv,evc,f4v,flv,gif,h261,h263,h264,hevc,ivf,m4v,matroska,mj2,mjpeg,mov,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nsv,nut,obu,ogg,rm,vc1,vvc,webm,wtv,yuv4mpegpipe,aac,aiff,flac,m4a,mp3,wav,bmp_pipe,jpeg_pipe,"
    "png_pipe,webp_pipe"
)
_PLAYLIST = re.compile(
    rb"\A(\xef\xbb\xbf)?\s*(#EXTM3U|ffconcat version|\[playlist\]|v=0\s|(<\?xml[^>]*>\s*)?<(MPD|SmoothStreamingMedia))",
    re.I,
)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.,-]*:")


class Unusable(Exception):
    """A video that cannot be used, with the typed reason.

    Args:
        status: the kind.
        reason: a sentence for people, with the values at hand.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def facts(self) -> dict[str, str]:
        """For a table's row."""
        return {"status": self.status, "reason": self.reason}


def check_unchanged(path: str, size_bytes: int | None, mtime_ns: int | None) -> None:
    """Make sure that a file is the one that was looked at before; None: it was not to be had, and nothing is said.

    Raises:
        RuntimeError: it is another now.
    """
    file = Path(path)
    if mtime_ns is not None and not (file.is_file() and _signs(file) == (size_bytes, mtime_ns)):
        raise RuntimeError(f"{path} was replaced while it was read: touch it and run again")


def _signs(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@contextmanager
def open_video(path: str, max_pixels: int, *, analyse: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local file and choose its video stream; nothing but the file itself is ever opened.

    Python opens the file, so that no name is read as an address; the formats are limited to containers that hold their
    own data; a demuxer that asks for another file is refused.

    Args:
        path: of a regular file.
        max_pixels: the decoder refuses larger frames before it allocates them.
        analyse: let FFmpeg decode the stream's first frames before the caller does, as it does by default. It finds out
            how far frames are reordered where the stream does not say so; the cost is that of a tenth of a short clip.

    Raises:
        Unusable: with the reason why.
    """
    _check_file(path)
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_pixels": str(max_pixels)}
    if not analyse:
        options["skip_frame"] = "all"  # heeded while opening only
    with open(path, "rb", buffering=0) as file:
        try:
            container = av.open(
                file, "r", options=options, metadata_errors="replace", buffer_size=1 << 16, io_open=_refuse
            )
        except (av.error.FFmpegError, ValueError, EOFError) as error:
            file.seek(0)
            raise _why_not_opened(file.read(4096), error) from None
        with container:
            yield container, _choose_stream(container)


def _check_file(path: str) -> None:
    file = Path(path)
    try:
        if not file.exists():
            if _URL.match(path) or _URL.match(file.name):
                raise Unusable(Status.REFUSED, "an address, not a file: only local files are opened")
            raise Unusable(Status.MISSING, "no such file")
        if not file.is_file():
            raise Unusable(Status.UNREADABLE if file.is_dir() else Status.REFUSED, "not a regular file")
        if file.stat().st_size == 0:
            raise Unusable(Status.EMPTY, "0 bytes")
    except (OSError, ValueError) as error:  # a loop of links, a name too long, no permission
        raise Unusable(Status.UNREADABLE, str(error)) from None


def _refuse(url: str, flags: Any, options: Any) -> NoReturn:
    raise PermissionError(f"the file asks to open {url!r}")


def _why_not_opened(head: bytes, error: Exception) -> Unusable:
    if _PLAYLIST.match(head):
        return Unusable(Status.REFUSED, "a playlist or script that names other files, not a video")
    return Unusable(Status.UNREADABLE, f"cannot be opened: {describe(error)}")


def describe(error: Exception) -> str:
    """FFmpeg's own words, without the path that PyAV adds."""
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
        raise Unusable(Status.UNSUPPORTED_CODEC, "no decoder for its video stream")
    stream.codec_context.thread_count = 1  # parallel over videos instead, which scales and keeps memory flat
    stream.codec_context.skip_frame = "DEFAULT"
    for other in container.streams:
        if other is not stream and other.type != "audio":
            other.discard = av.stream.Discard.all
    return stream
