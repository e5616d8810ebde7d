"""Decode a video once, for all views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from clipfold.status import Status
from clipfold.video.container import Unusable, describe
from clipfold.video.geometry import WHOLE
from clipfold.video.picture import Picture
from clipfold.video.region import Finder, Found, cut
from clipfold.video.stream import Counts, Order, Stream, decoded_frames
from clipfold.video.views import Timeline, View

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from clipfold.storage.files import Array
    from clipfold.video.geometry import Box, Region


@dataclass(slots=True)
class Decoded:
    """The views of one video.

    Args:
        arrays: view name -> `uint8` array of the view's shape.
        facts: columns of the index: status, reason, frames decoded and warning; per view the frames taken, their times,
            the content box and, if it has one, the region, and where in the picture the face is.
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
            keeper.offer(Shot(frame, stream.aspect), index_of(frame, order))
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
        keeper.offer(Shot(frame, stream.aspect), number)
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

    def __init__(self, frame: VideoFrame, aspect: Fraction | None) -> None:
        self._frame = frame
        self._aspect = aspect
        self._taken: dict[View | Finder, tuple[Any, Box]] = {}

    def take(self, view: View | Finder) -> tuple[Any, Box]:
        """Return what a view or a finder keeps of the frame, and its content box.

        Raises:
            Unusable: `unsupported_codec` if FFmpeg cannot convert the pixel format.
        """
        if view not in self._taken:
            try:
                picture = Picture(self._frame, self._aspect)
                self._taken[view] = view.take(picture), view.content(picture)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                what = f"frames of pixel format {self._frame.format.name} cannot be converted: {describe(error)}"
                raise Unusable(Status.UNSUPPORTED_CODEC, what) from None
        return self._taken[view]


def wanted_by(views: Mapping[str, View], timeline: Timeline) -> dict[View | Finder, list[int]]:
    """Return the indices of the frames that each view wants, and each finder of a region."""
    return {view: view.select(timeline) for view in views.values()} | {
        finder: finder.select(timeline.times) for view in views.values() if (finder := view.region)
    }


class Keeper:
    """Collector of the frames that the views want.

    Args:
        views: the views by name.
        timeline: the frames to choose from.

    Attributes:
        wanted: indices in the timeline of the frames that any view, or the finder of its region, wants.
        missing: those of them that have not been offered.
    """

    def __init__(self, views: Mapping[str, View], timeline: Timeline) -> None:
        self._views = views
        self._times = timeline.times
        self._indices = wanted_by(views, timeline)
        self._whole = {view: np.zeros(view.shape, np.uint8) for view in views.values() if view.region is None}
        self._boxes: dict[View, Box] = {}  # of all frames so far, whose sizes may differ
        self._noted: dict[View | Finder, dict[int, Any]] = defaultdict(dict)  # slot -> frame to cut, or what was seen
        self._slots: dict[int, list[tuple[View | Finder, list[int]]]] = defaultdict(list)
        for source, indices in self._indices.items():
            slots: dict[int, list[int]] = defaultdict(list)
            for slot, index in enumerate(indices):
                slots[index].append(slot)
            for index, where in slots.items():
                self._slots[index].append((source, where))
        self.wanted = frozenset(self._slots)
        self.missing = set(self.wanted)

    def offer(self, shot: Shot, index: int) -> None:
        """Keep what the views want of the frame with this index in the timeline."""
        if index not in self.missing:
            return
        self.missing.discard(index)
        for source, slots in self._slots[index]:
            taken, box = shot.take(source)
            if source in self._whole:
                self._whole[source][slots] = taken
                self._boxes[source] = source.joined(self._boxes.get(source, box), box)
            else:
                self._noted[source] |= dict.fromkeys(slots, taken)

    def decoded(self, facts: Mapping[str, Any]) -> Decoded:
        """Return the views, once no frame is missing.

        Args:
            facts: columns of the index about the video, to which those about the views are added.
        """
        arrays: dict[str, Array] = {}
        found, lacking = dict(facts), defaultdict[str, list[str]](list)
        regions = {finder: self._find(finder) for finder in {view.region for view in self._views.values()} if finder}
        for name, view in self._views.items():
            indices = self._indices[view]
            found[f"{name}_frames"] = np.array(indices, np.int32)  # lists of Python integers would take far more memory
            found[f"{name}_times"] = np.array([self._times[i] for i in indices])
            if view.region is None:
                arrays[name], box = self._whole[view], self._boxes[view]
            else:
                seen = regions[view.region]
                arrays[name], box = self._cut(view, seen.region if seen else WHOLE)
                found[f"{name}_region"] = seen and seen.region.edges
                if view.region.tracks:
                    found[f"{name}_track"] = seen and [[index, *place.edges] for index, place in seen.track.items()]
                if seen is None:
                    lacking[view.region.nothing].append(name)
            found[f"{name}_box"] = [box.top, box.left, box.height, box.width]
        notes = [f"{nothing}: {' and '.join(names)} show whole frames" for nothing, names in lacking.items()]
        found["warning"] = "; ".join(filter(None, [found.get("warning"), *notes]))
        return Decoded(arrays, found)

    def _find(self, finder: Finder) -> Found | None:
        noted = self._noted[finder]
        return finder.find([noted[slot] for slot in range(len(noted))], self._indices[finder])

    def _cut(self, view: View, region: Region) -> tuple[Array, Box]:
        """Return the array of a view with a region, and its content box."""
        array, boxes = np.zeros(view.shape, np.uint8), []
        for slot, frame in self._noted[view].items():
            array[slot], box = cut(frame, region, view.shape[1])
            boxes.append(box)
        return array, reduce(view.joined, boxes)


def _result(keeper: Keeper, counts: Counts, warning: str) -> Decoded:
    if counts.damaged:
        warning = "; ".join(filter(None, [warning, f"the container marks {counts.damaged} packets as damaged"]))
    facts: dict[str, Any] = {"decoded": counts.frames, "warning": warning, "status": Status.OK, "reason": ""}
    if counts.errors:
        facts["status"] = Status.CORRUPT
        facts["reason"] = counts.summary()
    return keeper.decoded(facts)
