"""Decode a long video once, for the views of windows that overlap."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from clipfold.checks import require
from clipfold.video.decode import UNUSABLE_TIMES, Decoded, Keeper, Shot, counted_times, index_of, wanted_by
from clipfold.video.filling import Filling, Marked
from clipfold.video.parts import EARLY
from clipfold.video.stream import Counts, Order, Stream, decoded_frames
from clipfold.video.views import Timeline, View
from clipfold.video.workers import VideoWorker

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Span:
    """The frames of a window.

    Args:
        start: begin in seconds from the video's first frame.
        end: end, excluded.
        first: index in display order of the first frame.
        last: index of the last frame, included.
    """

    start: float
    end: float
    first: int
    last: int


@dataclass(slots=True)
class Window:
    """The views of one window.

    Args:
        span: the window's place in the video.
        decoded: what `decode_video` gives for a video of just these frames: `arrays` by view, and `facts` without
            `decoded`. Indices count from the window's first frame; times are those of the whole video. If wanted frames
            are missing, there are no arrays, and the facts are `status`, `reason` and `warning` alone.
    """

    span: Span
    decoded: Decoded


def check_lengths(window_s: float, stride_s: float) -> None:
    """Check the length of windows and the stride between them.

    Raises:
        ValueError: One is not a positive number.
    """
    for name, seconds in (("window", window_s), ("stride", stride_s)):
        require(0 < seconds < float("inf"), name, seconds, "use a positive number of seconds")


def spans(times: Sequence[float], window_s: float, stride_s: float) -> Iterator[Span]:
    """Divide a video into windows of equal length; windows without frames are left out.

    The last window ends with the video, so it begins less than a stride after the one before. A video shorter than a
    window is one window. The last frame is taken to last as long as most others.

    Args:
        times: presentation times in seconds, ascending, at least one.
        window_s: length of a window in seconds.
        stride_s: seconds from the start of a window to that of the next.

    Raises:
        ValueError: a length that is not a positive number.

    >>> [(span.start, span.end, span.first, span.last) for span in spans([0, 1, 2, 3, 4], 2, 2)]
    [(0, 2, 0, 1), (2, 4, 2, 3), (3.0, 5.0, 3, 4)]
    """
    check_lengths(window_s, stride_s)
    origin, count = times[0], len(times)
    usual = float(np.median(np.diff(np.fromiter(times, float, count)))) if count > 1 else window_s
    length = times[-1] - origin + usual
    number, stop = 0, 0
    while stop < count:
        start = number * stride_s
        stop = bisect_left(times, origin + start + window_s - EARLY)
        if stop == count and start + window_s > length + EARLY:
            start = max(0.0, length - window_s)
        first = min(bisect_left(times, origin + start - EARLY), count - 1)
        if first < stop:
            yield Span(start, min(start + window_s, length), first, stop - 1)
            number += 1
        else:  # timestamps may leap by years, as when a recorder sets its clock: go to the window of the next frame
            number = max(number, floor((times[first] - origin - window_s) / stride_s)) + 1


def decode_windows(stream: Stream, views: Mapping[str, View], window_s: float, stride_s: float) -> Iterator[Window]:
    """Decode a video once and yield the views of each window, in order.

    A frame that several windows want is decoded once, and each view takes its pixels once. Memory holds one frame and
    the windows that are being filled, besides some 20 bytes per frame of the video.

    A window whose frames are damaged is `corrupt`; its arrays hold what the decoder returned. One whose frames are
    missing is `corrupt` or `truncated`. As in `decode_video`, the video is decoded again, from the start, if jumps
    between keyframes lead to errors, and frames are counted if the timestamps are unusable or packets yield no frame;
    windows that were yielded before are not repeated.

    Args:
        stream: the video.
        views: the views by name.
        window_s: length of a window in seconds.
        stride_s: seconds from the start of a window to that of the next.

    Raises:
        Unusable: `corrupt` if no frame can be decoded, `unsupported_codec` if FFmpeg cannot convert the pixel format,
            or any status that opening the file gives.
    """
    windows, order = _Windows(stream, views, window_s, stride_s), stream.order()
    return windows.counted(UNUSABLE_TIMES) if order is None else windows.timed(order)


def windows_in_worker(
    stream: Stream,
    views: Mapping[str, View],
    window_s: float,
    stride_s: float,
    prepare: Callable[[Window], Result],
    *,
    timeout_s: float,
    memory_mb: int | None = None,
) -> VideoWorker[Result]:
    """Decode a video's windows in a worker process, and return it: it gives what `prepare` makes of each, in order.

    Args:
        stream: the video.
        views: the views by name.
        window_s: length of a window in seconds.
        stride_s: seconds from the start of a window to that of the next.
        prepare: function that runs in the worker; what it returns travels to this process.
        timeout_s: seconds that each window may take, besides those to read a large file.
        memory_mb: memory of the job, of which the worker may take all.
    """
    work = partial(_prepared, stream, views, window_s, stride_s, prepare)
    video = {"id": stream.id, "path": stream.path}
    return VideoWorker(work, video, timeout_s=timeout_s, stage="decode", memory_mb=memory_mb)


def _prepared(
    stream: Stream,
    views: Mapping[str, View],
    window_s: float,
    stride_s: float,
    prepare: Callable[[Window], Result],
    video: Mapping[str, Any],
) -> Iterator[Result]:
    return map(prepare, decode_windows(stream, views, window_s, stride_s))


_Filling: TypeAlias = tuple[Span, Filling]


class _Windows:
    """The windows of a video that were not yielded yet."""

    def __init__(self, stream: Stream, views: Mapping[str, View], window_s: float, stride_s: float) -> None:
        self._stream = stream
        self._views = views
        self._lengths = window_s, stride_s
        self._done = -1.0  # start of the last window that was yielded

    def timed(self, order: Order) -> Iterator[Window]:
        """Tell frames by their timestamps."""
        stream, times = self._stream, self._stream.times(order)
        shown = stream.shown_keyframes(order)
        for keyframes, final in ((set(stream.keyframes), False), (set(stream.keyframes[:1]), True)):
            steps, counts = stream.plan(order, keyframes, self._wanted(times, shown)), Counts()
            frames = decoded_frames(stream, steps, counts, analyse=True)
            for span, filling in self._filled(frames, counts, times, shown, order):
                lost = len(filling.keeper.missing)
                if (lost and not counts.errors) or (counts.errors and not final):
                    break
                yield self._yielded(span, filling.decoded(counts, ""))
            else:
                return
        yield from self.counted(f"packets yield no frame from {span.start:.3g} s on; frames were counted instead")

    def counted(self, warning: str) -> Iterator[Window]:
        """Decode everything twice: first count the frames, then keep the wanted ones."""
        times, counts = array("d", counted_times(self._stream)), Counts()
        frames = decoded_frames(self._stream, None, counts, analyse=True)
        for span, filling in self._filled(frames, counts, times, ()):
            yield self._yielded(span, filling.decoded(counts, warning))

    def _yielded(self, span: Span, decoded: Decoded) -> Window:
        self._done = span.start
        return Window(span, decoded)

    def _left(self, times: array[float], keyframes: Sequence[int]) -> Iterator[tuple[Span, Timeline]]:
        """Yield the spans of the windows that are left, with the timeline of each."""
        for span in spans(times, *self._lengths):
            if span.start > self._done:
                inside = slice(bisect_left(keyframes, span.first), bisect_right(keyframes, span.last))
                shown = [frame - span.first for frame in keyframes[inside]]
                yield span, Timeline(self._stream.id, times[span.first : span.last + 1], shown)

    def _wanted(self, times: array[float], keyframes: Sequence[int]) -> Marked:
        wanted = Marked(len(times))
        for span, timeline in self._left(times, keyframes):
            for indices in wanted_by(self._views, timeline).values():
                wanted.update(span.first + index for index in indices)
        return wanted

    def _filled(
        self,
        frames: Iterable[tuple[VideoFrame, int]],
        counts: Counts,
        times: array[float],
        keyframes: Sequence[int],
        order: Order | None = None,
    ) -> Iterator[_Filling]:
        """Offer each frame to the windows around it, and yield each window when it is full or nothing more can come."""
        left = (
            (span, Filling(span.first, span.last, Keeper(self._views, timeline)))
            for span, timeline in self._left(times, keyframes)
        )
        coming, filling = next(left, None), deque[_Filling]()
        for frame, number in frames:
            index = number if order is None else index_of(frame, order)
            while coming and coming[0].first <= index:
                filling.append(coming)
                coming = next(left, None)
            shot = Shot(frame, self._stream.aspect)
            for _, window in filling:
                window.offer(shot, index, counts.broken)
            del frame, shot
            while filling and filling[0][1].is_over(index):
                yield filling.popleft()
        yield from filling
        if coming:
            yield coming
        yield from left
