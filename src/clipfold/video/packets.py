"""Read the packets of a video: timestamps, keyframes, missing frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipfold.status import Status
from clipfold.video.container import Unusable, describe, open_video, packets_of
from clipfold.video.truncation import missing_end

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
        path: the file.
        container: the same, open.
        stream: its video stream.
        settings: limits that a usable video must keep.

    Attributes:
        pts: timestamp of each packet in file order; None if it is not shown or unknown.
        keyframes: positions in `pts`.
        first_frame: the first frame that could be decoded.

    Raises:
        Unusable: there are too many frames, or none can be decoded.
    """

    def __init__(self, path: str, container: InputContainer, stream: VideoStream, settings: ProbeSettings) -> None:
        self._container = container
        self._missing = missing_end(path) or _missing_samples(container, stream)
        self._stream = stream
        self.pts: list[int | None] = []
        self.keyframes: list[int] = []
        self._undated = 0  # packets that are shown, at a time that is not known
        self._dark = 0  # packets before the first that shows a frame by itself
        self._last_duration = 0
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
            self._undated += packet.pts is None and not packet.is_discard
            self._last_duration = packet.duration or self._last_duration
            if frame is None:
                frame = self._try(packet, errors)
            self._dark += frame is None
        if (frame is None and not errors) or self._begins_late():
            shown = _first_shown(path, settings.max_pixels)
            self._hide_before(shown)
            frame = frame or shown
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
                yield packet
        except (av.error.FFmpegError, EOFError) as error:
            self._broken_off = describe(error)

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

    def _begins_late(self) -> bool:
        """Check whether the first frames may refer to others that were cut off: then decoders do not show them."""
        first, second = [*self.keyframes, len(self.pts), len(self.pts)][:2]
        if first > 0 or not self.pts:
            return self._dark >= first
        start = self.pts[0]
        return start is not None and any(pts is not None and pts < start for pts in self.pts[:second])

    def _hide_before(self, first: VideoFrame | None) -> None:
        """Hide the frames before the first one shown, up to the next keyframe: a clock may begin again there."""
        if first is None or first.pts is None or first.pts not in self.pts:
            return
        shown_from = self.pts.index(first.pts)
        end = next((i for i in self.keyframes if i > shown_from), len(self.pts))
        self.pts[:end] = [None if pts is not None and pts < first.pts else pts for pts in self.pts[:end]]

    def _no_frame(self, errors: list[str]) -> Unusable:
        context = self._stream.codec_context
        if context.codec is None or any("not found" in e or "not implemented" in e.lower() for e in errors):
            return Unusable(Status.UNSUPPORTED_CODEC, f"no decoder for codec {context.name!r}")
        if self._missing or self._ends_early():
            return Unusable(Status.TRUNCATED, "the file ends before the end of its first frame")
        if not self.pts:
            return Unusable(Status.TOO_SHORT, "no frames")
        return Unusable(
            Status.CORRUPT, f"no frame can be decoded: {errors[0] if errors else 'the decoder returns nothing'}"
        )

    def _ends_early(self) -> bool:
        return self._damaged >= 0 and self._damaged == len(self.pts) - 1

    def _guessed(self) -> bool:
        """Check whether timestamps are guesses: AVI stores none, and FFmpeg misplaces reordered frames."""
        return "avi" in self._container.format.name and bool(self._stream.codec_context.has_b_frames)

    def _shown(self) -> int:
        """Count the frames that are shown."""
        return sum(pts is not None for pts in self.pts) + self._undated or len(self.pts)

    def facts(self) -> dict[str, Any]:
        """Return the columns of the probe's table that describe frames and timing."""
        shown = sorted(pts for pts in self.pts if pts is not None)
        count = self._shown()
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        steps = [b - a for a, b in pairwise(shown)]
        base = self._stream.time_base or Fraction(1, 1000)
        usual = median(steps) if steps else self._last_duration
        duration = count / (rate or 25.0)
        if shown and usual:  # FFmpeg reads no time before 0 from Matroska: frames without one come before all others
            duration = float((shown[-1] - shown[0] + usual * (1 + self._undated)) * base)
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
            "pts": [None] * len(self.pts) if self._undated or self._guessed() else self.pts,
            "keyframes": self.keyframes,
        }

    def check(self, settings: ProbeSettings) -> None:
        """Check that no frames are missing and that there are enough.

        Raises:
            Unusable: `truncated` or `too_short`.
        """
        count = len(self.pts)
        if self._broken_off:
            raise Unusable(Status.TRUNCATED, f"reading fails after {count} frames: {self._broken_off}")
        if self._missing:
            raise Unusable(Status.TRUNCATED, f"the file is cut, after {count} frames: {self._missing}")
        if self._ends_early():
            raise Unusable(Status.TRUNCATED, f"the file ends inside its last frame; the last good one is {count - 2}")
        if (count := self._shown()) < settings.min_frames:
            raise Unusable(
                Status.TOO_SHORT, f"{count} frames, at least {settings.min_frames} are needed (probe.min_frames)"
            )


def _first_shown(path: str, max_pixels: int) -> VideoFrame | None:
    """Return the first frame of a full decode; None if there is an error at or behind the first keyframe."""
    keyframe = False
    with open_video(path, max_pixels, analyse=True) as (container, stream), suppress(av.error.FFmpegError, EOFError):
        for packet in packets_of(container, stream):
            keyframe = keyframe or packet.is_keyframe
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, EOFError):
                if keyframe:
                    raise
            else:
                if frames:
                    return frames[0]
    return None


def _missing_samples(container: InputContainer, stream: VideoStream) -> str:
    """Compare the places that an MP4 or MOV index names with the size of the file."""
    if "mov" not in container.format.name:
        return ""
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    return f"the index names byte {end}, the file ends at byte {container.size}" if end > container.size else ""
