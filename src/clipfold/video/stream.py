"""Decode the packets of a probed video as planned, frame by frame."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from clipfold.status import Status
from clipfold.video.container import Unusable, describe, open_video, packets_of
from clipfold.video.planner import HIDDEN, Step, plan

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


MAX_PIXELS = 8192 * 8192  # per frame


class Order(Mapping[int, int]):
    """The frame index in display order of each timestamp. A dictionary would take ten times as much memory.

    Args:
        shown: the timestamps, ascending.
    """

    def __init__(self, shown: array[int]) -> None:
        self._shown = shown

    def __getitem__(self, pts: int) -> int:
        index = bisect_left(self._shown, pts)
        if index == len(self._shown) or self._shown[index] != pts:
            raise KeyError(pts)
        return index

    def __iter__(self) -> Iterator[int]:
        return iter(self._shown)

    def __len__(self) -> int:
        return len(self._shown)


@dataclass(frozen=True, slots=True)
class Stream:
    """The probed facts of a video that are needed to plan its decoding.

    Args:
        id: the video's id.
        path: the video file.
        pts: presentation timestamp of each packet in file order, in units of `time_base`; None for a packet that is
            not shown.
        keyframes: positions in `pts` of the packets where decoding can begin.
        time_base: seconds per unit of `pts`.
        rate: frames per second, used if the timestamps are unusable.
        aspect: width of one pixel over its height; None if unknown, which means square.
        max_pixels: most pixels of a frame; larger frames are refused.
        loop_filter: smooth the edges of blocks, as H.264 and HEVC prescribe. Without, decoding takes less time, and
            errors add up until the next keyframe.
        threads: threads of the decoder, which decode successive frames at once; the frames are the same.
    """

    id: str
    path: str
    pts: Sequence[int | None]
    keyframes: Sequence[int]
    time_base: Fraction
    rate: float
    aspect: Fraction | None = None
    max_pixels: int = MAX_PIXELS
    loop_filter: bool = True
    threads: int = 1

    @classmethod
    def of(
        cls, probed: Mapping[str, Any], max_pixels: int = MAX_PIXELS, loop_filter: bool = True, threads: int = 1
    ) -> Stream:
        """Build the stream from a row of the table that probing writes; the other arguments are those of the class."""
        aspect = probed["sample_aspect"]
        pts = probed["pts"]
        return cls(
            id=probed["id"],
            path=probed["path"],
            pts=pts if None in pts else array("q", pts),  # an hour of Python's integers takes 4 MB
            keyframes=probed["keyframes"],
            time_base=Fraction(probed["time_base"]),
            rate=probed["fps"],
            aspect=Fraction(aspect) if aspect else None,
            max_pixels=max_pixels,
            loop_filter=loop_filter,
            threads=threads,
        )

    def order(self) -> Order | None:
        """Map each timestamp to its frame index in display order; None if timestamps are missing or duplicated."""
        shown = np.sort(np.fromiter((pts for pts in self.pts if pts is not None), np.int64))
        usable = len(shown) > 0 and bool((shown[1:] > shown[:-1]).all())
        return Order(array("q", shown.tobytes())) if usable else None

    def times(self, order: Order) -> array[float]:
        """Return the presentation times of the frames in seconds, ascending."""
        tick = float(self.time_base)
        return array("d", (pts * tick for pts in order))

    def shown_keyframes(self, order: Order) -> list[int]:
        """Return the indices in display order of the frames where decoding can begin, ascending."""
        return sorted(order[pts] for i in self.keyframes if (pts := self.pts[i]) is not None)

    def plan(self, order: Order, keyframes: Collection[int], wanted: Container[int]) -> list[Step]:
        """Plan the decoding of the wanted frames, trusting only the given ones of the keyframes."""
        frames = array("i", (HIDDEN if pts is None else order[pts] for pts in self.pts))
        return plan(frames, keyframes, wanted)


@dataclass(slots=True)
class Counts:
    """Counters of one decoding pass.

    Args:
        frames: frames that the decoder returned.
        damaged: packets that the container marks as damaged.
        errors: errors that the demuxer and the decoder reported.
        first_error: the first of these; "" if there are none.
        broken: True from an error until the next keyframe: frames between them refer to what was damaged.
    """

    frames: int = 0
    damaged: int = 0
    errors: int = 0
    first_error: str = ""
    broken: bool = False
    _renewed: bool = False  # the keyframe that ends the damage is in the decoder

    def error(self, what: str, *, returned: bool = False) -> None:
        """Count an error on the way into the decoder or, if `returned`, of a frame on its way out."""
        self.errors += 1
        self.first_error = self.first_error or f"after {self.frames} frames: {what}"
        # Frames come out later than they go in: one that was whole before the error must not end the damage.
        self.broken, self._renewed = True, returned

    def summary(self) -> str:
        """Describe the errors."""
        return f"{self.errors} decoding errors, the first {self.first_error}"

    def sent(self, packet: av.Packet[VideoStream]) -> None:
        """Note that a packet goes to the decoder."""
        self._renewed = self._renewed or packet.is_keyframe

    def returned(self, frame: VideoFrame) -> None:
        """Note that the decoder returned a frame."""
        if frame.is_corrupt:
            self.error("the decoder marks a frame as damaged", returned=True)
        elif self.broken and self._renewed and frame.key_frame:
            self.broken = False


def decoded_frames(
    stream: Stream, steps: Sequence[Step] | None, counts: Counts, *, analyse: bool
) -> Iterator[tuple[VideoFrame, int]]:
    """Decode the packets as planned and yield each frame with the number of frames before it.

    Delete each frame before asking for the next: the decoder reuses its memory, and where a file is damaged, it may
    show what was in there before. So the result depends on when frames are let go, and a caller that always does so at
    once gets the same frames every time.

    Args:
        stream: the video.
        steps: the plan; None to decode all packets.
        counts: counters to update on the way.
        analyse: let FFmpeg decode the first frames on opening, see `open_video`.

    Raises:
        Unusable: the file cannot be opened, changed after it was probed, or its decoder cannot start.
    """
    with open_video(stream.path, stream.max_pixels, analyse=analyse) as (container, video):
        context = video.codec_context
        smoothed = {} if stream.loop_filter else {"skip_loop_filter": "all"}
        context.options = {"max_pixels": str(stream.max_pixels)} | smoothed  # a stream may grow on the way
        if stream.threads > 1:
            context.thread_count, context.thread_type = stream.threads, "FRAME"
        try:
            context.open()  # some decoders read `skip_frame` only when they are opened
        except av.error.FFmpegError as error:
            raise Unusable(Status.CORRUPT, f"the decoder cannot start: {describe(error)}") from None
        for position, packet in enumerate(_packets(container, video, counts)):
            if packet.is_corrupt:
                counts.damaged += 1  # also marked where streams were joined, so this is no error
            if steps is not None:
                if position >= len(steps):
                    break
                if stream.pts[position] not in (None, packet.pts):
                    raise Unusable(Status.UNREADABLE, "the file changed after it was probed; run again")
                step = steps[position]
                if step is Step.DROP:
                    continue
                if step is Step.RESTART:
                    yield from _received(context, None, counts)
                    context.flush_buffers()
                context.skip_frame = "NONREF" if step is Step.REFERENCE else "DEFAULT"
            counts.sent(packet)
            yield from _received(context, packet, counts)
        yield from _received(context, None, counts)


def _received(
    context: VideoCodecContext, packet: av.Packet[VideoStream] | None, counts: Counts
) -> Iterator[tuple[VideoFrame, int]]:
    """Send a packet, or the end of the stream, to the decoder and yield what it returns."""
    try:
        frames = context.decode(packet)
    except (av.error.FFmpegError, EOFError) as error:
        counts.error(describe(error))
        return
    for frame in frames:
        counts.returned(frame)
        yield frame, counts.frames
        counts.frames += 1


def _packets(container: InputContainer, video: VideoStream, counts: Counts) -> Iterator[av.Packet[VideoStream]]:
    """Yield the stream's packets until the file ends or cannot be read any further."""
    try:
        for packet in packets_of(container, video):
            if packet.size == 0 and packet.pts is None:  # marks the end of the file
                return
            yield packet
    except (av.error.FFmpegError, EOFError) as error:
        counts.error(describe(error))
