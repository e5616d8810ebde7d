"""Decode a video once, for all views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from clipfold.status import Status
from clipfold.video.container import Unusable, describe, open_video, packets_of
from clipfold.video.picture import Picture
from clipfold.video.planner import Packet, Step, plan
from clipfold.video.views import Timeline, View

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from clipfold.storage.files import Array


MAX_PIXELS = 8192 * 8192  # per frame


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
    def of(cls, probed: Mapping[str, Any], max_pixels: int = MAX_PIXELS) -> Stream:
        """Build the stream from a row of the table that probing writes, with a limit on each frame."""
        aspect = probed["sample_aspect"]
        return cls(
            id=probed["id"],
            path=probed["path"],
            pts=probed["pts"],
            keyframes=probed["keyframes"],
            time_base=Fraction(probed["time_base"]),
            rate=probed["fps"],
            aspect=Fraction(aspect) if aspect else None,
            max_pixels=max_pixels,
        )

    def order(self) -> dict[int, int] | None:
        """Map each timestamp to its frame index in display order; None if timestamps are missing or duplicated."""
        shown = sorted(pts for pts in self.pts if pts is not None)
        usable = len(shown) > 0 and len(set(shown)) == len(shown)
        return {pts: i for i, pts in enumerate(shown)} if usable else None


@dataclass(slots=True)
class Decoded:
    """The views of one video.

    Args:
        arrays: view name -> `uint8` array of the view's shape.
        facts: columns of the index: status, reason, frames decoded and warning; per view the frames taken, their times
            and the content box.
    """

    arrays: dict[str, Array]
    facts: dict[str, Any] = field(default_factory=dict)


def decode_video(stream: Stream, views: Mapping[str, View]) -> Decoded:
    """Decode a video once and keep what the views want: exactly the frames that a full decode would give.

    Memory use is one frame plus the views' arrays, whatever the length of the video.

    If the timestamps are unusable, or if some packets yield no frame, the whole file is decoded and its frames are
    counted; `facts["warning"]` says so. If the decoder reports errors, `facts["status"]` is `corrupt` and the arrays
    hold what it returned.

    Raises:
        Unusable: `corrupt` if no frame can be decoded, `truncated` if wanted frames are missing, `unsupported_codec` if
            FFmpeg cannot convert the pixel format, or any status that opening the file gives.
    """
    order = stream.order()
    if order is None:
        return _decode_counted(stream, views, "timestamps are missing or duplicated; frames were counted instead")
    timeline = Timeline(stream.id, [pts * float(stream.time_base) for pts in order], _shown(stream, order))
    # Some files mark frames as keyframes that depend on others, and some decoders lose frames if they do not know how
    # far frames are reordered. Both show up as errors; then the video is decoded from the start, analysed first.
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
    lost = f"{len(keeper.missing)} of {len(keeper.wanted)} wanted frames were not decoded"
    return _decode_counted(stream, views, f"{lost}; frames were counted instead")


def _by_timestamp(keeper: _Keeper, order: Mapping[int, int]) -> Callable[[VideoFrame, int], None]:
    return lambda frame, _: keeper.offer(frame, -1 if frame.pts is None else order.get(frame.pts, -1))


def _decode_counted(stream: Stream, views: Mapping[str, View], warning: str) -> Decoded:
    """Decode everything twice: first count the frames, then keep the wanted ones."""
    times: list[float | None] = []
    _run(stream, None, lambda frame, _: times.append(frame.time), analyse=True)
    if not times:
        raise Unusable(Status.CORRUPT, f"none of its {len(stream.pts)} frames can be decoded")
    keeper = _Keeper(views, Timeline(stream.id, _ascending(times, stream.rate), ()), stream.aspect)
    counts = _run(stream, None, keeper.offer, analyse=True)
    if keeper.missing:
        raise Unusable(
            Status.TRUNCATED, f"frame {min(keeper.missing)} of {len(times)} could not be decoded a second time"
        )
    return keeper.result(counts, warning)


def _shown(stream: Stream, order: Mapping[int, int]) -> list[int]:
    return sorted(order[pts] for i in stream.keyframes if (pts := stream.pts[i]) is not None)


def _ascending(times: Sequence[float | None], rate: float) -> list[float]:
    """Return the times if they are numbers that ascend, else those of a steady clock."""
    known = [time for time in times if time is not None and isfinite(time)]  # a decoder's clock may have no unit: NaN
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return known
    steady = rate if isfinite(rate) and rate > 0 else 25.0
    return [i / steady for i in range(len(times))]


class _Keeper:
    """Collector of the frames that the views want."""

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
        """Keep what the views want of the frame with this index in display order."""
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
            facts[f"{name}_frames"] = np.array(indices, np.int32)  # lists of Python integers would take far more memory
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
    """Decode the packets as planned (all, if there is no plan) and pass each frame with its number to `keep`."""
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
        context.options = {"max_pixels": str(stream.max_pixels)}  # a stream may grow on the way
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
                    receive(None)
                    context.flush_buffers()
                context.skip_frame = "NONREF" if step is Step.REFERENCE else "DEFAULT"
            receive(packet)
        receive(None)
    return counts


def _packets(container: InputContainer, video: VideoStream, counts: _Counts) -> Iterator[av.Packet[VideoStream]]:
    """Yield the stream's packets until the file ends or cannot be read any further."""
    try:
        for packet in packets_of(container, video):
            if packet.size == 0 and packet.pts is None:  # marks the end of the file
                return
            yield packet
    except (av.error.FFmpegError, EOFError) as error:
        counts.error(describe(error))
