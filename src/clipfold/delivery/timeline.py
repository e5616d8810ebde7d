"""From scores of overlapping windows to scores over time, and to segments: what happens when."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from clipfold.checks import require
from clipfold.status import Status
from clipfold.storage.replace import replacing

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = npt.NDArray[Any]

BACKGROUND = "background"
"""The class of videos of several classes that stands for nothing of interest, and has no segments."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model says of each window of one video.

    Attributes:
        video: Name of the video.
        duration: Its length in seconds.
        classes: Names of the classes.
        positive: The class of interest, None where all are.
        start: Begin of each window in seconds, (windows,), ascending by at least a millisecond.
        end: End of each window in seconds, (windows,).
        probabilities: (windows, classes), 0 to 1; rows of windows that could not be used are ignored.
        status: `ok`, or the kind of problem of each window.
        reason: The problem of each window in words, empty where there is none.

    Raises:
        ValueError: Lengths differ, windows are out of order, or probabilities are outside of 0 to 1.
    """

    video: str
    duration: float
    classes: Sequence[str]
    positive: str | None
    start: Array
    end: Array
    probabilities: Array
    status: Sequence[str]
    reason: Sequence[str]

    def __post_init__(self) -> None:
        windows = len(self.start)
        lengths = [len(self.end), len(self.probabilities), len(self.status), len(self.reason)]
        remedy = f"give an end, probabilities, a status and a reason for each of the {windows} windows"
        require(lengths == [windows] * 4, "lengths of end, probabilities, status, reason", lengths, remedy)
        shape = np.shape(self.probabilities)
        require(shape == (windows, len(self.classes)), "shape of probabilities", shape, "use (windows, classes)")
        begin, end = _milliseconds(self.start), _milliseconds(self.end)
        ordered = (np.diff(begin) > 0).all() and (end > begin).all() and np.isfinite([begin, end]).all()
        require(bool(ordered), "windows of", self.video, "give them in order, none empty, none with the same begin")
        given = np.asarray(self.probabilities)[self.usable]
        known = bool(((given >= 0) & (given <= 1)).all())
        require(known, "probabilities of", self.video, "use numbers from 0 to 1 where the status is ok")
        require(self.positive is None or self.positive in self.classes, "positive", self.positive, "use a class")
        require(0 <= self.duration < np.inf, "duration", self.duration, "use seconds")

    @cached_property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which windows could be used, (windows,)."""
        return np.array([status == Status.OK for status in self.status], bool)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes whose segments are wanted: the class of interest, else all but the background."""
        return (self.positive,) if self.positive is not None else tuple(c for c in self.classes if c != BACKGROUND)

    @cached_property
    def steps(self) -> tuple[Array, Array]:
        """Scores over time, where several windows cover each moment.

        The score of a moment is the mean over the usable windows that cover it. An event shorter than a window raises
        all windows that see it, and the mean is highest where all of these overlap: around the event. So segments are
        finer than windows, and one odd window among calm ones weighs little. The mean changes only where a window
        begins or ends; with windows of whole strides, a step is a stride.

        Returns:
            Edges of the steps in seconds, (steps + 1,), whole milliseconds; empty without windows. Scores, (steps,
            classes), NaN where no usable window covers the step.
        """
        begin, end = _milliseconds(self.start), _milliseconds(self.end)
        edges = np.unique([begin, end])
        steps = max(len(edges) - 1, 0)
        total, count = np.zeros((steps, len(self.classes))), np.zeros((steps, 1))
        first, stop = np.searchsorted(edges, begin), np.searchsorted(edges, end)
        for k in range(max(stop - first, default=0)):  # all windows' k-th step at once: each begins at another
            some = self.usable & (first + k < stop)
            total[first[some] + k] += np.asarray(self.probabilities)[some]
            count[first[some] + k] += 1
        return edges / 1000, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def score(self, label: str) -> Array:
        """Return the scores of one class over time, (steps,)."""
        scores: Array = self.steps[1][:, list(self.classes).index(label)]
        return scores

    def to_frame(self) -> "pd.DataFrame":
        """Return a row per window: `start`, `end`, `p_CLASS` for each class, `status`, `reason`."""
        import pandas as pd

        known = np.where(self.usable[:, None], self.probabilities, np.nan)
        shares = {f"p_{name}": known[:, i] for i, name in enumerate(self.classes)}
        ends = {"start": self.start, "end": self.end}
        return pd.DataFrame({**ends, **shares, "status": [str(s) for s in self.status], "reason": list(self.reason)})


@dataclass(frozen=True)
class Segment:
    """A part of a video in which a class scores high; the fields are the columns of the CSV.

    Attributes:
        video: Name of the video.
        label: The class.
        start: Begin in seconds.
        end: End in seconds.
        peak: Highest score.
        peak_time: Middle of the first step with that score, in seconds.
        mean: Mean score over the time from start to end.
    """

    video: str
    label: str
    start: float
    end: float
    peak: float
    peak_time: float
    mean: float


def segments(
    timeline: Timeline, threshold: float, low: float | None = None, least_s: float = 0.0, gap_s: float = 0.0
) -> list[Segment]:
    """Find the segments of a video.

    A segment begins where the score reaches the threshold and lasts while the score is at least `low`, so that a score
    that wavers about the threshold makes one segment, not many (a Schmitt trigger). Then segments of a class that are
    close are joined, and after that the short ones are dropped. Where the class of interest is given, all segments are
    of that class; otherwise each class has its own, and those of different classes may overlap.

    Args:
        timeline: Scores of windows, see `Timeline.steps` for their scores over time.
        threshold: Score that begins a segment, 0 to 1.
        low: Score below which a segment ends, at most the threshold; None for the threshold.
        least_s: Shortest segment in seconds.
        gap_s: Segments less than this apart are joined, in seconds.

    Returns:
        Segments by their start; those of one class are disjoint.

    Raises:
        ValueError: A number is outside of its range.
    """
    low = threshold if low is None else low
    require(0 <= threshold <= 1, "threshold", threshold, "use a number from 0 to 1")
    require(0 <= low <= threshold, "low", low, f"use a number from 0 to the threshold, {threshold:g}")
    require(0 <= least_s < np.inf, "least_s", least_s, "use seconds")
    require(0 <= gap_s < np.inf, "gap_s", gap_s, "use seconds")
    edges, _ = timeline.steps
    found = []
    for label in timeline.labels:
        score = timeline.score(label)
        spans: list[tuple[int, int]] = []
        for first, stop in _spans(score, threshold, low):
            if spans and round(edges[first] - edges[spans[-1][1]], 3) < gap_s:
                first = spans.pop()[0]
            spans.append((first, stop))
        found += [
            _segment(timeline, label, first, stop)
            for first, stop in spans
            if round(edges[stop] - edges[first], 3) >= least_s
        ]
    return sorted(found, key=lambda segment: segment.start)


def strongest(timeline: Timeline, found: Sequence[Segment], most: int = 12) -> list[float]:
    """Choose the times of the strongest frames: the peaks of the strongest segments, then other high scores.

    They keep a distance of a window, and of a share of the video, so that they show different moments.

    Returns:
        At most `most` times in seconds, ascending.
    """
    edges, scores = timeline.steps
    wanted = scores[:, [list(timeline.classes).index(label) for label in timeline.labels]]
    best = np.fmax.reduce(wanted, axis=1, initial=-1.0)
    distance = max(np.max(timeline.end - timeline.start, initial=0.0), timeline.duration / (4 * most))
    candidates = [s.peak_time for s in sorted(found, key=lambda s: -s.peak)]
    candidates += [_middle(edges, step) for step in np.argsort(-best, kind="stable") if best[step] >= 0]
    chosen: list[float] = []
    for time in candidates:
        if len(chosen) < most and all(abs(time - other) >= distance for other in chosen):
            chosen.append(time)
    return sorted(chosen)


def write_segments_csv(path: str | Path, found: Sequence[Segment]) -> None:
    """Write a row per segment: `video,label,start,end,peak,peak_time,mean`; times in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Segment))
    for segment in found:
        video, label, start, end, peak, peak_time, mean = astuple(segment)
        writer.writerow([video, label, f"{start:.3f}", f"{end:.3f}", f"{peak:.6f}", f"{peak_time:.3f}", f"{mean:.6f}"])
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def write_vtt(path: str | Path, found: Sequence[Segment]) -> None:
    """Write the segments of one video as WebVTT, which players load like subtitles (https://www.w3.org/TR/webvtt1).

    Raises:
        ValueError: The segments are of several videos: a file of cues belongs to one.
    """
    videos = {segment.video for segment in found}
    require(len(videos) <= 1, "videos", sorted(videos), "write a file for each video")
    blocks = ["WEBVTT", "NOTE\nSegments found by clipfold: class, highest and mean score"]
    for number, segment in enumerate(sorted(found, key=lambda each: each.start), 1):
        times = f"{_timestamp(segment.start)} --> {_timestamp(segment.end)}"
        blocks.append(
            f"{number}\n{times}\n{_cue_text(segment.label)}: peak {segment.peak:.2f}, mean {segment.mean:.2f}"
        )
    with replacing(path) as file:
        file.write(("\n\n".join(blocks) + "\n").encode())


def _milliseconds(seconds: Array) -> Array:
    """Round to whole milliseconds: what files of segments hold, and `k * stride` is seldom exact."""
    return np.round(np.asarray(seconds, np.float64) * 1000)


def _middle(edges: Array, step: int) -> float:
    return round(float(edges[step] + edges[step + 1]) / 2, 3)


def _spans(score: Array, threshold: float, low: float) -> Iterator[tuple[int, int]]:
    """Yield the first step of each segment, and the step after its last."""
    lasting = np.concatenate([[False], score >= low, [False]])  # NaN is not
    for first, stop in np.flatnonzero(np.diff(lasting)).reshape(-1, 2):
        reached = np.flatnonzero(score[first:stop] >= threshold)
        if len(reached):
            yield int(first + reached[0]), int(stop)


def _segment(timeline: Timeline, label: str, first: int, stop: int) -> Segment:
    edges, _ = timeline.steps
    score, seconds = timeline.score(label)[first:stop], np.diff(edges[first : stop + 1])
    known = ~np.isnan(score)
    top = int(np.nanargmax(score))
    return Segment(
        video=timeline.video,
        label=label,
        start=float(edges[first]),
        end=float(edges[stop]),
        peak=float(score[top]),
        peak_time=_middle(edges, first + top),
        mean=float(np.average(score[known], weights=seconds[known])),
    )


def _timestamp(seconds: float) -> str:
    """Format a time as WebVTT does.

    >>> _timestamp(3723.5)
    '01:02:03.500'
    """
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _cue_text(text: str) -> str:
    r"""Escape a text for a cue, which ends at an empty line and must not hold an arrow.

    >>> _cue_text("a\n\n1 --> <b>")
    'a 1 --&gt; &lt;b&gt;'
    """
    for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, name)
    return " ".join(text.replace("\0", " ").split())
