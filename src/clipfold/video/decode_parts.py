"""Decode a video once for all of its parts."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from clipfold.status import Status
from clipfold.video.container import Unusable
from clipfold.video.decode import (
    UNUSABLE_TIMES,
    Decoded,
    Keeper,
    Shot,
    counted_times,
    decode_video,
    index_of,
    wanted_by,
)
from clipfold.video.filling import Filling, Marked
from clipfold.video.parts import Part, frames_of
from clipfold.video.stream import Counts, Order, Stream, decoded_frames
from clipfold.video.views import Timeline, View

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Result = tuple[Part, Decoded | Unusable]


def decode_parts(stream: Stream, views: Mapping[str, View], parts: Sequence[Part]) -> Iterator[Result]:
    """Decode a video once and yield the views of each part as soon as it is complete.

    A frame that several parts want is decoded once, and each view takes its pixels once. Memory holds one frame and the
    parts that are being filled, whatever their number, besides some 20 bytes per frame of the video.

    What a part gives is what `decode_video` gives for a file of just its frames: indices count from the part's first
    frame; times are those of the whole video; `decoded` counts the frames decoded since the part before was complete.
    A part is `corrupt` if a frame that it wants follows a decoding error. As in `decode_video`, the video is decoded
    again, from the start, if jumps between keyframes lead to errors, and frames are counted if the timestamps are
    unusable, or, for the parts concerned, if packets yield no frame; parts that were yielded before are not repeated.

    Args:
        stream: the video.
        views: the views by name.
        parts: parts of the video, which may overlap.

    Yields:
        Each part once, with its views; or with an `Unusable`: `no_frames` if none of the video's frames is in it,
        `corrupt` or `truncated` if wanted frames are missing, or what `decode_video` would raise.
    """
    left = {part.id: part for part in parts}
    try:
        for part, decoded in _decoded(stream, views, parts):
            yield left.pop(part.id), decoded
    except Unusable as unusable:
        yield from ((part, unusable) for part in left.values())


def _decoded(stream: Stream, views: Mapping[str, View], parts: Sequence[Part]) -> Iterator[Result]:
    if [part.is_whole for part in parts] == [True]:
        yield parts[0], decode_video(replace(stream, id=parts[0].id), views)
        return
    left = _Parts(stream, views, parts)
    order = stream.order()
    yield from left.counted(UNUSABLE_TIMES) if order is None else left.timed(order)


class _Parts:
    """The parts of a video that were not yielded yet."""

    def __init__(self, stream: Stream, views: Mapping[str, View], parts: Sequence[Part]) -> None:
        self._stream = stream
        self._views = views
        self._left = {part.id: part for part in parts}
        self._seen = 0  # frames of this pass that were decoded for parts before

    def timed(self, order: Order) -> Iterator[Result]:
        """Tell frames by their timestamps."""
        stream, times = self._stream, self._stream.times(order)
        keyframes = stream.shown_keyframes(order)
        places = self._places(times, times[0])
        yield from self._without_frames(places, Status.NO_FRAMES)
        for trusted, final in ((set(stream.keyframes), False), (set(stream.keyframes[:1]), True)):
            timelines = partial(self._timelines, places, times, keyframes)
            steps, counts = stream.plan(order, trusted, self._wanted(timelines(), len(times))), Counts()
            frames = decoded_frames(stream, steps, counts, analyse=final)
            for part, filling in self._filled(frames, counts, timelines(), order):
                lost = bool(filling.keeper.missing)
                if not final and (lost or counts.errors):
                    break
                if not lost:
                    yield self._yielded(part, filling, counts, "")
            else:
                break
        if self._left:
            yield from self.counted("packets yield no frame; frames were counted instead", order)

    def counted(self, warning: str, order: Order | None = None) -> Iterator[Result]:
        """Decode everything twice: first to see which frames there are, then to keep the wanted ones.

        Args:
            warning: why.
            order: the timestamps, if they are usable: then only frames that have one count, since a frame that is lost
                must not move a later segment.
        """
        seen = None if order is None else self._seen_of(order)
        times = array("d", counted_times(self._stream)) if seen is None else self._stream.times(seen)
        origin = times[0] if order is None or seen is None else self._stream.times(order)[0]
        places, counts = self._places(times, origin), Counts()
        yield from self._without_frames(places, Status.NO_FRAMES if seen is None else Status.CORRUPT)
        frames = decoded_frames(self._stream, None, counts, analyse=True)
        for part, filling in self._filled(frames, counts, self._timelines(places, times, ()), seen):
            yield self._yielded(part, filling, counts, warning)

    def _seen_of(self, order: Order) -> Order | None:
        """Decode everything and return the timestamps of the frames; None if most frames have none."""
        frames, stamps = 0, array("q")
        for frame, _ in decoded_frames(self._stream, None, Counts(), analyse=True):
            frames += 1
            if frame.pts is not None and frame.pts in order:
                stamps.append(frame.pts)
            del frame
        return Order(array("q", np.unique(stamps).tobytes())) if 2 * len(stamps) > frames else None

    def _places(self, times: Sequence[float], origin: float) -> dict[str, range]:
        return {part.id: frames_of(part, times, origin) for part in self._left.values()}

    def _without_frames(self, places: Mapping[str, range], status: Status) -> Iterator[Result]:
        what = "is shown" if status is Status.NO_FRAMES else "can be decoded"
        for name, place in places.items():
            if not place:
                part = self._left.pop(name)
                yield part, Unusable(status, f"no frame {what} {part.described}")

    def _timelines(
        self, places: Mapping[str, range], times: array[float], keyframes: Sequence[int]
    ) -> Iterator[tuple[Part, range, Timeline]]:
        """Yield the parts that are left in the order of their first frames, with the frames of each."""
        for part in sorted(self._left.values(), key=lambda part: places[part.id].start):
            place = places[part.id]
            shown = keyframes[bisect_left(keyframes, place.start) : bisect_left(keyframes, place.stop)]
            yield (
                part,
                place,
                Timeline(part.id, times[place.start : place.stop], [frame - place.start for frame in shown]),
            )

    def _wanted(self, timelines: Iterable[tuple[Part, range, Timeline]], size: int) -> Marked:
        wanted = Marked(size)
        for _, place, timeline in timelines:
            for indices in wanted_by(self._views, timeline).values():
                wanted.update(place.start + index for index in indices)
        return wanted

    def _filled(
        self,
        frames: Iterable[tuple[VideoFrame, int]],
        counts: Counts,
        timelines: Iterator[tuple[Part, range, Timeline]],
        order: Order | None = None,
    ) -> Iterator[tuple[Part, Filling]]:
        """Offer each frame to the parts around it, and yield each part when it is full or nothing more can come."""
        self._seen = 0
        left = (
            (part, Filling(place.start, place.stop - 1, Keeper(self._views, timeline)))
            for part, place, timeline in timelines
        )
        coming, filling = next(left, None), list[tuple[Part, Filling]]()
        for frame, number in frames:
            index = number if order is None else index_of(frame, order)
            while coming and coming[1].first <= index:
                filling.append(coming)
                coming = next(left, None)
            shot = Shot(frame, self._stream.aspect)
            for _, each in filling:
                each.offer(shot, index, counts.broken)
            del frame, shot
            over = [pair for pair in filling if pair[1].is_over(index)]
            if over:
                filling = [pair for pair in filling if not pair[1].is_over(index)]
                yield from over
                if not filling and not coming:
                    return
        yield from filling
        if coming:
            yield coming
        yield from left

    def _yielded(self, part: Part, filling: Filling, counts: Counts, warning: str) -> Result:
        del self._left[part.id]
        decoded = filling.decoded(counts, warning)
        if filling.keeper.missing:
            return part, Unusable(decoded.facts["status"], decoded.facts["reason"])
        if (
            part.is_whole and counts.errors and decoded.facts["status"] == Status.OK
        ):  # as for a file without other parts
            decoded.facts |= {"status": Status.CORRUPT, "reason": counts.summary()}
        decoded.facts["decoded"], self._seen = counts.frames - self._seen, counts.frames
        return part, decoded
