"""One decoding pass over a video that serves all views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from clipfold.video.container import Unusable, describe, open_video
from clipfold.video.picture import Picture
from clipfold.video.planner import Packet, Step, plan
from clipfold.video.status import Status
from clipfold.video.views import Timeline, View

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from clipfold.storage.files import Array


MAX_PIXELS = 8192 * 8192  # of a frame, should a stream change its size on the way


@dataclass(frozen=True, slots=True)
class Stream:
    """What probing found out about a video's frames; enough to plan the decoding.

    Args:
        id: of the video.
        path: of the file.
        pts: presentation timestamp of each packet, in the order of the file, in units of `time_base`; None for a
            packet that is not shown.
        keyframes: positions in `pts` of the packets at which decoding can begin.
        time_base: seconds per unit of `pts`.
        rate: frames per second, for a file without usable timestamps.
        aspect: width of one pixel over its height; None if unknown, which means square.
        max_pixels: larger frames are refused.
    """

    id: str
    path: str
    pts: Sequence[int | None]
    keyframes: Sequence[int]
    time_base: Fraction
    rate: float
    aspect: Fraction | None = None
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, probed: Mapping[str, Any]) -> Stream:
        """From a row of the table that probing writes."""
        aspect = probed["sample_aspect"]
        return cls(
            id=probed["id"],
            path=probed["path"],
            pts=probed["pts"],
            keyframes=probed["keyframes"],
            time_base=Fraction(probed["time_base"]),
            rate=probed["fps"],
            aspect=Fraction(aspect) if aspect else None,
            max_pixels=max(MAX_PIXELS, probed["coded_width"] * probed["coded_height"]),  # a size that probing let pass
        )

    def order(self) -> dict[int, int] | None:
        """Timestamp -> index of its frame in the order of display; None if timestamps are missing or occur twice."""
        shown = sorted(pts for pts in self.pts if pts is not None)
        usable = len(shown) > 0 and len(set(shown)) == len(shown)
        return {pts: i for i, pts in enumerate(shown)} if usable else None


@dataclass(slots=True)
class Decoded:
    """What is kept of a video.

    Args:
        arrays: name of the view -> `uint8` array of the view's shape.
        facts: for the index: status and reason, frames decoded, warning; per view the frames taken and the content box.
    """

    arrays: dict[str, Array]
    facts: dict[str, Any] = field(default_factory=dict)


def decode_video(stream: Stream, views: Mapping[str, View]) -> Decoded:
    """Decode a video once and keep what the views want; exactly the frames that decoding everything would give.

    Memory: one frame and the views' arrays, however long the video.

    A file whose timestamps are unusable, or that does not show all the frames its packets promise, is decoded whole and
    its frames are counted; `facts["warning"]` says so. Where the decoder reports errors, `facts["status"]` is `corrupt`
    and the arrays hold what it gave.

    Raises:
        Unusable: `corrupt` if no frame can be decoded, `truncated` if wanted frames never come, `unsupported_codec` if
            FFmpeg has no conversion of its pixels, or whatever opening it gives.
    """
    order = stream.order()
    if order is None:
        return _decode_counted(stream, views, "timestamps are missing or occur twice; frames were counted instead")
    timeline = Timeline(stream.id, [pts * float(stream.time_base) for pts in order], _shown(stream, order))
    # Some files call a frame a keyframe that needs others, and some decoders lose frames if they are not told how
    # far those are reordered. Either shows; then all is decoded from the start, with the stream analysed first.
    for keyframes, analyse in ((set(stream.keyframes), False), (set(stream.keyframes[:1]), True)):
        packets = [
            Packet(None if pts is None else order[pts], keyframe=i in keyframes) for i, pts in enumerate(stream.pts)
        ]
        keeper = _Keeper(views, timeline, stream.aspect)
        counts = _run(stream, plan(packets, keeper.wanted), _by_timestamp(keeper, order), analyse=analyse)
        if not keeper.missing and not counts.errors:
            break
    if not keeper.missing:
        return keeper.result(counts, "")
    lost = f"{len(keeper.missing)} of {len(keeper.wanted)} wanted frames are never shown"
    return _decode_counted(stream, views, f"{lost}; frames were counted instead")


def _by_timestamp(keeper: _Keeper, order: Mapping[int, int]) -> Callable[[VideoFrame, int], None]:
    return lambda frame, _: keeper.offer(frame, -1 if frame.pts is None else order.get(frame.pts, -1))


def _decode_counted(stream: Stream, views: Mapping[str, View], warning: str) -> Decoded:
    """Decode everything twice: to count the frames, and to keep those that are wanted."""
    times: list[float | None] = []
    _run(stream, None, lambda frame, _: times.append(frame.time), analyse=True)
    if not times:
        raise Unusable(Status.CORRUPT, f"none of its {len(stream.pts)} frames can be decoded")
    keeper = _Keeper(views, Timeline(stream.id, _ascending(times, stream.rate), ()), stream.aspect)
    counts = _run(stream, None, keeper.offer, analyse=True)
    if keeper.missing:
        raise Unusable(Status.TRUNCATED, f"frame {min(keeper.missing)} of {len(times)} could not be decoded again")
    return keeper.result(counts, warning)


def _shown(stream: Stream, order: Mapping[int, int]) -> list[int]:
    return sorted(order[pts] for i in stream.keyframes if (pts := stream.pts[i]) is not None)


def _ascending(times: Sequence[float | None], rate: float) -> list[float]:
    """The times themselves if they ascend, else those of a steady clock."""
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return known
    return [i / rate for i in range(len(times))]


class _Keeper:
    """Collects what the views want from frames that pass by."""

    def __init__(self, views: Mapping[str, View], timeline: Timeline, aspect: Fraction | None) -> None:
        self._views = views
        self._aspect = aspect
        self._arrays = {name: np.zeros(view.shape, np.uint8) for name, view in views.items()}
        self._indices = {name: view.select(timeline) for name, view in views.items()}
        self._times = timeline.times
        self._boxes: dict[str, list[int]] = {}
        self._slots: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
        for name, indices in self._indices.items():
            slots: dict[int, list[int]] = defaultdict(list)
            for slot, index in enumerate(indices):
                slots[index].append(slot)
            for index, where in slots.items():
                self._slots[index].append((name, where))
        self.wanted = frozenset(self._slots)
        self.missing = set(self.wanted)

    def offer(self, frame: VideoFrame, index: int) -> None:
        """Keep what is wanted of the frame with this index in the order of display."""
        if index not in self.missing:
            return
        self.missing.discard(index)
        picture = Picture(frame, self._aspect)
        for name, slots in self._slots[index]:
            view = self._views[name]
            self._arrays[name][slots] = view.take(picture)
            if name not in self._boxes:
                box = view.content(picture)
                self._boxes[name] = [box.top, box.left, box.height, box.width]

    def result(self, counts: _Counts, warning: str) -> Decoded:
        if counts.damaged:
            warning = "; ".join(filter(None, [warning, f"the container marks {counts.damaged} packets as damaged"]))
        facts: dict[str, Any] = {"decoded": counts.frames, "warning": warning, "status": Status.OK, "reason": ""}
        if counts.errors:
            facts["status"] = Status.CORRUPT
            facts["reason"] = f"{counts.errors} decoding errors, the first {counts.first_error}"
        for name, indices in self._indices.items():
            facts[f"{name}_frames"] = np.array(indices, np.int32)  # thousands of lists would show in a job's memory
            facts[f"{name}_times"] = np.array([self._times[i] for i in indices])
            facts[f"{name}_box"] = self._boxes[name]
        return Decoded(self._arrays, facts)


@dataclass(slots=True)
class _Counts:
    frames: int = 0
    damaged: int = 0
    errors: int = 0
    first_error: str = ""

    def error(self, what: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or f"after {self.frames} frames: {what}"


def _run(
    stream: Stream, steps: Sequence[Step] | None, keep: Callable[[VideoFrame, int], object], *, analyse: bool
) -> _Counts:
    """Decode the packets as planned (all of them without a plan) and hand on each frame with its ordinal."""
    counts = _Counts()

    def receive(packet: av.Packet[VideoStream] | None) -> None:
        try:
            frames = context.decode(packet)
        except (av.error.FFmpegError, EOFError) as error:
            counts.error(describe(error))
            return
        for frame in frames:
            if frame.is_corrupt:
                counts.error("the decoder marks a frame as damaged")
            try:
                keep(frame, counts.frames)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                what = f"frames of pixel format {frame.format.name} cannot be converted: {describe(error)}"
                raise Unusable(Status.UNSUPPORTED_CODEC, what) from None
            counts.frames += 1

    with open_video(stream.path, stream.max_pixels, analyse=analyse) as (container, video):
        context = video.codec_context
        context.open()  # some decoders heed `skip_frame` when they are opened, and never again
        for position, packet in enumerate(_packets(container, video, counts)):
            if packet.is_corrupt:
                counts.damaged += 1  # also where streams are joined, hence no error
            if steps is not None:
                if position >= len(steps):
                    break
                if packet.pts != stream.pts[position] and not packet.is_discard:
                    raise Unusable(Status.UNREADABLE, "the file was changed after it was probed; run again")
                step = steps[position]
                if step is Step.DROP:
                    continue
                if step is Step.RESTART:
                    receive(None)
                    context.flush_buffers()
                context.skip_frame = "NONREF" if step is Step.REFERENCE else "DEFAULT"
            receive(packet)
        receive(None)
    return counts


def _packets(container: InputContainer, video: VideoStream, counts: _Counts) -> Iterator[av.Packet[VideoStream]]:
    """The stream's packets up to where the file ends or cannot be read on."""
    try:
        for packet in container.demux(video):
            if packet.size == 0 and packet.pts is None:  # the demuxer's sign that the file has ended
                return
            yield packet
    except (av.error.FFmpegError, EOFError) as error:
        counts.error(describe(error))
