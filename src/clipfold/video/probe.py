"""What a video file says of itself, and whether it can be used: nothing is decoded but its first frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import av
import pyarrow as pa
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipfold.video.container import Unusable, describe, open_video
from clipfold.video.geometry import displayed, quarter_turns
from clipfold.video.status import Status

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
    from clipfold.settings import ProbeSettings

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "path": pa.string(),
        "label": pa.string(),
        "group": pa.string(),  # null where the manifest has none
        "status": pa.string(),
        "reason": pa.string(),
        "frames": pa.int32(),  # packets that show a frame
        "frames_source": pa.string(),  # `packets`, and whether the container's own count agrees
        "duration": pa.float64(),  # seconds, from the first frame's start to the last one's end
        "fps": pa.float64(),
        "vfr": pa.bool_(),  # frames do not come at equal intervals
        "width": pa.int32(),  # square pixels, as displayed
        "height": pa.int32(),
        "coded_width": pa.int32(),
        "coded_height": pa.int32(),
        "rotation": pa.int16(),  # degrees counter-clockwise
        "sample_aspect": pa.string(),
        "codec": pa.string(),
        "profile": pa.string(),
        "pix_fmt": pa.string(),
        "bit_depth": pa.int8(),
        "color_range": pa.string(),
        "color_space": pa.string(),
        "interlaced": pa.bool_(),
        "container": pa.string(),
        "bitrate": pa.float64(),  # bits per second of the whole file
        "has_audio": pa.bool_(),
        "encoder": pa.string(),
        "size_bytes": pa.int64(),
        "mtime_ns": pa.int64(),
        "digest": pa.string(),  # BLAKE2b of the file's bytes
        "time_base": pa.string(),
        "pts": pa.list_(pa.int64()),  # of each packet, in the order of the file; null if it is not shown
        "keyframes": pa.list_(pa.int32()),  # positions in `pts`
    }
)

# The standards' names (ITU-T H.273, tables 4 and E.1) by FFmpeg's numbers; "" is unspecified.
_COLOR_RANGE = {1: "limited", 2: "full"}
_COLOR_SPACE = {
    0: "rgb",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
    10: "bt2020c",
}


def probe_video(path: str, settings: ProbeSettings) -> dict[str, Any]:
    """Read a file's packets and first frame.

    Args:
        path: the file.
        settings: limits that a usable video keeps.

    Returns:
        The columns of `SCHEMA` from `status` on; those that could not be found out are left out.
    """
    facts: dict[str, Any] = {"status": Status.OK, "reason": ""}
    try:
        facts |= _file_facts(path)
        with open_video(path, settings.max_pixels) as (container, stream):
            facts |= _stream_facts(container, stream)
            _check_size(facts["coded_width"], facts["coded_height"], settings)
            packets = _Packets(container, stream, settings)
            facts |= packets.facts()
            facts |= _display_facts(packets.first_frame, stream)
            _check_size(facts["coded_width"], facts["coded_height"], settings)
            packets.check(settings)
    except Unusable as unusable:
        facts |= {"status": unusable.status, "reason": unusable.reason}
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        facts |= {"status": Status.UNREADABLE, "reason": describe(error)}
    return facts


def _file_facts(path: str) -> dict[str, Any]:
    file = Path(path)
    if not file.is_file():
        return {}
    stat = file.stat()
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "digest": digest}


def _stream_facts(container: InputContainer, stream: VideoStream) -> dict[str, Any]:
    context = stream.codec_context
    encoder = stream.metadata.get("encoder") or container.metadata.get("encoder") or ""
    return {
        "codec": context.name if not context.codec else context.codec.canonical_name,
        "profile": str(stream.profile or ""),
        "coded_width": context.width,
        "coded_height": context.height,
        "container": container.format.name,
        "bitrate": float(container.bit_rate or 0),
        "has_audio": bool(container.streams.audio),
        "encoder": encoder,
        "time_base": str(stream.time_base),
    }


def _display_facts(frame: VideoFrame, stream: VideoStream) -> dict[str, Any]:
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    rotation = 90 * quarter_turns(frame.rotation)
    width, height = displayed(frame.width, frame.height, aspect, rotation)
    return {
        "width": width,
        "height": height,
        "coded_width": frame.width,
        "coded_height": frame.height,
        "rotation": rotation,
        "sample_aspect": str(aspect or ""),
        "pix_fmt": frame.format.name,
        "bit_depth": max(component.bits for component in frame.format.components),
        "color_range": _COLOR_RANGE.get(frame.color_range, ""),
        "color_space": _COLOR_SPACE.get(frame.colorspace, ""),
        "interlaced": frame.interlaced_frame,
    }


def _check_size(width: int, height: int, settings: ProbeSettings) -> None:
    if width * height > settings.max_pixels:
        reason = f"{width}x{height} pixels, the limit is {settings.max_pixels} in all (probe.max_pixels)"
        raise Unusable(Status.TOO_LARGE, reason)


class _Packets:
    """The video's packets, and its first frame as proof that the stream can be decoded."""

    def __init__(self, container: InputContainer, stream: VideoStream, settings: ProbeSettings) -> None:
        self._container = container
        self._stream = stream
        self.pts: list[int | None] = []
        self.keyframes: list[int] = []
        self._time_bases: dict[int, float] = {}  # by stream
        self._last_duration = 0
        self._start, self._end = inf, 0.0  # seconds, over all streams
        self._broken_off = ""
        self._damaged = -1  # the last packet that the demuxer could not read whole
        frame = None
        errors: list[str] = []
        for packet in self._demux():
            if packet.stream_index != stream.index:
                continue
            if len(self.pts) >= settings.max_frames:
                raise Unusable(Status.TOO_LARGE, f"more than {settings.max_frames} frames (probe.max_frames)")
            if packet.is_corrupt:
                self._damaged = len(self.pts)
            if packet.is_keyframe:
                self.keyframes.append(len(self.pts))
            self.pts.append(None if packet.is_discard else packet.pts)
            self._timed = not packet.is_discard
            self._last_duration = packet.duration or self._last_duration
            if frame is None:
                frame = self._try(packet, errors)
        if frame is None:
            # A decoder may learn the size only from the stream itself, and then refuse to allocate it.
            _check_size(stream.codec_context.width, stream.codec_context.height, settings)
            raise self._no_frame(errors)
        self.first_frame = frame

    def _demux(self) -> Iterator[av.Packet[Any]]:
        try:
            for packet in self._container.demux():
                if packet.size == 0 and packet.pts is None:
                    continue
                if packet.pts is not None and (base := self._time_base(packet)):
                    self._start = min(self._start, packet.pts * base)
                    self._end = max(self._end, (packet.pts + (packet.duration or 0)) * base)
                yield packet
        except (av.error.FFmpegError, EOFError) as error:
            self._broken_off = describe(error)

    def _time_base(self, packet: av.Packet[Any]) -> float:
        """Seconds per unit; fractions would take longer than reading the packet."""
        if packet.stream_index not in self._time_bases:
            self._time_bases[packet.stream_index] = float(packet.time_base or 0)
        return self._time_bases[packet.stream_index]

    def _try(self, packet: av.Packet[VideoStream], errors: list[str]) -> VideoFrame | None:
        """The frame of one packet, without waiting for the packets that may have to be shown before it."""
        context = self._stream.codec_context
        frame = None
        try:
            frame = next(iter(context.decode(packet)), None)
            if frame is None and not packet.is_discard:
                frame = next(iter(context.decode(None)), None)
                context.flush_buffers()
        except (av.error.FFmpegError, EOFError) as error:
            errors.append(describe(error))
        return frame

    def _no_frame(self, errors: list[str]) -> Unusable:
        context = self._stream.codec_context
        if context.codec is None or any("not found" in e or "not implemented" in e.lower() for e in errors):
            return Unusable(Status.UNSUPPORTED_CODEC, f"no decoder for codec {context.name!r}")
        if self._stream.frames > len(self.pts) or self._ends_early():
            return Unusable(Status.TRUNCATED, "the file ends before the end of its first frame")
        if not self.pts:
            return Unusable(Status.TOO_SHORT, "no frames")
        return Unusable(Status.CORRUPT, f"no frame can be decoded: {errors[0] if errors else 'nothing comes out'}")

    def _ends_early(self) -> bool:
        return self._damaged >= 0 and self._damaged == len(self.pts) - 1

    def facts(self) -> dict[str, Any]:
        shown = sorted(pts for pts in self.pts if pts is not None)
        count = len([1 for pts in self.pts if pts is not None]) or len(self.pts)
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        steps = [b - a for a, b in pairwise(shown)]
        base = self._stream.time_base or Fraction(1, 1000)
        usual = median(steps) if steps else self._last_duration
        duration = float((shown[-1] - shown[0] + usual) * base) if shown and usual else count / (rate or 25.0)
        promised = self._stream.frames
        agrees = (
            "container has none"
            if promised <= 0
            else "container agrees"
            if promised == len(self.pts)
            else "container differs"
        )
        return {
            "frames": count,
            "frames_source": f"packets, {agrees}",
            "duration": duration,
            "fps": count / duration if duration > 0 else rate,
            # A time base of whole milliseconds makes steady frames jitter by one unit.
            "vfr": bool(steps) and max(steps) - min(steps) > max(2, 0.1 * usual),
            "pts": self.pts,
            "keyframes": self.keyframes,
        }

    def check(self, settings: ProbeSettings) -> None:
        """Raise `Unusable` where frames are missing."""
        count, promised = len(self.pts), self._stream.frames
        rate = float(self._stream.average_rate or 25)
        if self._broken_off:
            raise Unusable(Status.TRUNCATED, f"reading breaks off after {count} frames: {self._broken_off}")
        if promised > count:
            raise Unusable(
                Status.TRUNCATED, f"{count} of {promised} frames are there; the last good one is {count - 1}"
            )
        if self._ends_early():
            raise Unusable(Status.TRUNCATED, f"the file ends inside its last frame; the last good one is {count - 2}")
        promised_s = float(self._container.duration or 0) / 1e6
        missing_s = promised_s - (self._end - self._start)
        if promised_s and self._end and missing_s > max(0.2, 3 / rate) and _keeps_its_duration(self._container):
            reason = f"{promised_s:.2f} s are promised, the file ends {missing_s:.2f} s earlier, after {count} frames"
            raise Unusable(Status.TRUNCATED, reason)
        if count < settings.min_frames:
            raise Unusable(
                Status.TOO_SHORT, f"{count} frames, at least {settings.min_frames} are needed (probe.min_frames)"
            )


def _keeps_its_duration(container: InputContainer) -> bool:
    """Whether the container stores the duration of what was recorded, and not that of an edit or an estimate."""
    return any(name in container.format.name for name in ("matroska", "avi", "flv", "asf"))
