"""Decode a video once, for all views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from clipfold.status import Status
from clipfold.video.container import Unusable, describe
from clipfold.video.picture import Picture
from clipfold.video.stream import Counts, Order, Stream, decoded_frames
from clipfold.video.views import Timeline, View

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from clipfold.storage.files import Array
    from clipfold.video.geometry import Box


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
        return _decode_counted(stream, views, UNUSABLE_TIMES)
    timeline = Timeline(stream.id, stream.times(order), stream.shown_keyframes(order))
    # Some files mark frames as keyframes that depend on others, and some decoders lose frames if they do not know how
    # far frames are reordered. Both show up as errors; then the video is decoded from the start, analysed first.
    for keyframes, analyse in ((set(stream.keyframes), False), (set(stream.keyframes[:1]), True)):
        keeper, counts = Keeper(views, timeline), Counts()
        steps = stream.plan(order, keyframes, keeper.wanted)
        for frame, _ in decoded_frames(stream, steps, counts, analyse=analyse):
            keeper.offer(Shot(frame, stream.aspect, views), index_of(frame, order))
            del frame
        if not keeper.missing and not counts.errors:
            break
    if not keeper.missing:
        return _result(keeper, counts, "")
    lost = f"{len(keeper.missing)} of {len(keeper.wanted)} wanted frames were not decoded"
    return _decode_counted(stream, views, f"{lost}; frames were counted instead")


UNUSABLE_TIMES = "timestamps are missing or duplicated; frames were counted instead"


def index_of(frame: VideoFrame, order: Order) -> int:
    """Return the frame's index in display order; -1 if its timestamp is none of the video's."""
    return -1 if frame.pts is None else order.get(frame.pts, -1)


def _decode_counted(stream: Stream, views: Mapping[str, View], warning: str) -> Decoded:
    """Decode everything twice: first count the frames, then keep the wanted ones."""
    times = counted_times(stream)
    keeper, counts = Keeper(views, Timeline(stream.id, times, ())), Counts()
    for frame, number in decoded_frames(stream, None, counts, analyse=True):
        keeper.offer(Shot(frame, stream.aspect, views), number)
        del frame
    if keeper.missing:
        raise Unusable(
            Status.TRUNCATED, f"frame {min(keeper.missing)} of {len(times)} could not be decoded a second time"
        )
    return _result(keeper, counts, warning)


def counted_times(stream: Stream) -> list[float]:
    """Decode the whole video and return the times of its frames in seconds, ascending.

    Raises:
        Unusable: `corrupt` if no frame can be decoded, or any status that opening the file gives.
    """
    times: list[float | None] = []
    for frame, _ in decoded_frames(stream, None, Counts(), analyse=True):
        times.append(frame.time)
        del frame
    if not times:
        raise Unusable(Status.CORRUPT, f"none of its {len(stream.pts)} frames can be decoded")
    return _ascending(times, stream.rate)


def _ascending(times: Sequence[float | None], rate: float) -> list[float]:
    """Return the times if they are numbers that ascend, else those of a steady clock."""
    known = [time for time in times if time is not None and isfinite(time)]  # a decoder's clock may have no unit: NaN
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return known
    steady = rate if isfinite(rate) and rate > 0 else 25.0
    return [i / steady for i in range(len(times))]


class Shot:
    """A decoded frame, from which each view takes its pixels at most once, for any number of keepers."""

    def __init__(self, frame: VideoFrame, aspect: Fraction | None, views: Mapping[str, View]) -> None:
        self._frame = frame
        self._aspect = aspect
        self._views = views
        self._taken: dict[str, tuple[Array, Box]] = {}

    def take(self, name: str) -> tuple[Array, Box]:
        """Return the pixels that a view keeps of the frame, and its content box.

        Raises:
            Unusable: `unsupported_codec` if FFmpeg cannot convert the pixel format.
        """
        if name not in self._taken:
            try:
                picture, view = Picture(self._frame, self._aspect), self._views[name]
                self._taken[name] = view.take(picture), view.content(picture)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                what = f"frames of pixel format {self._frame.format.name} cannot be converted: {describe(error)}"
                raise Unusable(Status.UNSUPPORTED_CODEC, what) from None
        return self._taken[name]


class Keeper:
    """Collector of the frames that the views want.

    Args:
        views: the views by name.
        timeline: the frames to choose from.

    Attributes:
        arrays: view name -> `uint8` array of the view's shape, zero where nothing was kept.
        wanted: indices in the timeline of the frames that any view wants.
        missing: those of them that have not been offered.
    """

    def __init__(self, views: Mapping[str, View], timeline: Timeline) -> None:
        self.arrays: dict[str, Array] = {name: np.zeros(view.shape, np.uint8) for name, view in views.items()}
        self._indices = {name: view.select(timeline) for name, view in views.items()}
        self._views = views
        self._times = timeline.times
        self._boxes: dict[str, Box] = {}  # of all frames so far, whose sizes may differ
        self._slots: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
        for name, indices in self._indices.items():
            slots: dict[int, list[int]] = defaultdict(list)
            for slot, index in enumerate(indices):
                slots[index].append(slot)
            for index, where in slots.items():
                self._slots[index].append((name, where))
        self.wanted = frozenset(self._slots)
        self.missing = set(self.wanted)

    def offer(self, shot: Shot, index: int) -> None:
        """Keep what the views want of the frame with this index in the timeline."""
        if index not in self.missing:
            return
        self.missing.discard(index)
        for name, slots in self._slots[index]:
            self.arrays[name][slots], box = shot.take(name)
            self._boxes[name] = self._views[name].joined(self._boxes.get(name, box), box)

    def facts(self) -> dict[str, Any]:
        """Return the columns of the index about the views, once no frame is missing."""
        facts: dict[str, Any] = {}
        for name, indices in self._indices.items():
            facts[f"{name}_frames"] = np.array(indices, np.int32)  # lists of Python integers would take far more memory
            facts[f"{name}_times"] = np.array([self._times[i] for i in indices])
            box = self._boxes[name]
            facts[f"{name}_box"] = [box.top, box.left, box.height, box.width]
        return facts


def _result(keeper: Keeper, counts: Counts, warning: str) -> Decoded:
    if counts.damaged:
        warning = "; ".join(filter(None, [warning, f"the container marks {counts.damaged} packets as damaged"]))
    facts: dict[str, Any] = {"decoded": counts.frames, "warning": warning, "status": Status.OK, "reason": ""}
    if counts.errors:
        facts["status"] = Status.CORRUPT
        facts["reason"] = counts.summary()
    return Decoded(keeper.arrays, facts | keeper.facts())
