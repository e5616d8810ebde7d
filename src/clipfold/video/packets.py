"""Read the packets of a video: timestamps, keyframes, missing frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipfold.status import Status
from clipfold.video.container import Unusable, describe, packets_of

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings


def check_size(width: int, height: int, settings: ProbeSettings) -> None:
    """Check the size of a frame in pixels.

    Raises:
        Unusable: `too_large`.
    """
    if width * height > settings.max_pixels:
        reason = f"{width}x{height} pixels, the limit is {settings.max_pixels} in total (probe.max_pixels)"
        raise Unusable(Status.TOO_LARGE, reason)


class Packets:
    """The packets of a video, and its first frame as proof that the stream can be decoded.

    Args:
        container: the open file.
        stream: its video stream.
        settings: limits that a usable video must keep.

    Attributes:
        pts: timestamp of each packet in file order; None if it is not shown.
        keyframes: positions in `pts`.
        first_frame: the first frame that could be decoded.

    Raises:
        Unusable: there are too many frames, or none can be decoded.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, settings: ProbeSettings) -> None:
        self._container = container
        self._stream = stream
        self.pts: list[int | None] = []
        self.keyframes: list[int] = []
        self._time_bases: dict[int, float] = {}  # by stream
        self._last_duration = 0
        self._start, self._end = inf, 0.0  # seconds, over all streams
        self._broken_off = ""
        self._damaged = -1  # index of the last packet that the demuxer could not read in full
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
            # Some decoders learn the frame size only from the stream, and then refuse to allocate it.
            check_size(stream.codec_context.width, stream.codec_context.height, settings)
            raise self._no_frame(errors)
        self.first_frame = frame

    def _demux(self) -> Iterator[av.Packet[Any]]:
        try:
            for packet in packets_of(self._container):
                if packet.size == 0 and packet.pts is None:
                    continue
                if packet.pts is not None and (base := self._time_base(packet)):
                    self._start = min(self._start, packet.pts * base)
                    self._end = max(self._end, (packet.pts + (packet.duration or 0)) * base)
                yield packet
        except (av.error.FFmpegError, EOFError) as error:
            self._broken_off = describe(error)

    def _time_base(self, packet: av.Packet[Any]) -> float:
        """Return the stream's seconds per unit as a float: fractions would take longer than reading the packet."""
        if packet.stream_index not in self._time_bases:
            self._time_bases[packet.stream_index] = float(packet.time_base or 0)
        return self._time_bases[packet.stream_index]

    def _try(self, packet: av.Packet[VideoStream], errors: list[str]) -> VideoFrame | None:
        """Decode one packet without waiting for packets that may be displayed before it."""
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
        return Unusable(
            Status.CORRUPT, f"no frame can be decoded: {errors[0] if errors else 'the decoder returns nothing'}"
        )

    def _ends_early(self) -> bool:
        return self._damaged >= 0 and self._damaged == len(self.pts) - 1

    def facts(self) -> dict[str, Any]:
        """Return the columns of the probe's table that describe frames and timing."""
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
        """Check that no frames are missing and that there are enough.

        Raises:
            Unusable: `truncated` or `too_short`.
        """
        count, promised = len(self.pts), self._stream.frames
        rate = float(self._stream.average_rate or 25)
        if self._broken_off:
            raise Unusable(Status.TRUNCATED, f"reading fails after {count} frames: {self._broken_off}")
        if promised > count:
            raise Unusable(
                Status.TRUNCATED, f"only {count} of {promised} frames are present; the last good one is {count - 1}"
            )
        if self._ends_early():
            raise Unusable(Status.TRUNCATED, f"the file ends inside its last frame; the last good one is {count - 2}")
        promised_s = float(self._container.duration or 0) / 1e6
        missing_s = promised_s - (self._end - self._start)
        if promised_s and self._end and missing_s > max(0.2, 3 / rate) and _keeps_its_duration(self._container):
            reason = (
                f"the header says {promised_s:.2f} s, the file ends {missing_s:.2f} s earlier, after {count} frames"
            )
            raise Unusable(Status.TRUNCATED, reason)
        if count < settings.min_frames:
            raise Unusable(
                Status.TOO_SHORT, f"{count} frames, at least {settings.min_frames} are needed (probe.min_frames)"
            )


def _keeps_its_duration(container: InputContainer) -> bool:
    """Check whether the container stores the recorded duration, rather than that of an edit or an estimate."""
    return any(name in container.format.name for name in ("matroska", "avi", "flv", "asf"))
