"""Turn scores over time into segments: when what happens, as a list, as CSV, and as WebVTT."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np

from clipfold.checks import require
from clipfold.storage.files import Array
from clipfold.storage.replace import replacing


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


class Scored(Protocol):
    """Scores over time of one video; the attributes are those of `clipfold.delivery.timeline.Timeline`."""

    @property
    def video(self) -> str: ...
    @property
    def duration(self) -> float: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def start(self) -> Array: ...
    @property
    def end(self) -> Array: ...
    @property
    def steps(self) -> tuple[Array, Array]: ...
    def score(self, label: str) -> Array: ...


def check_choices(threshold: float, low: float, least_s: float, gap_s: float) -> None:
    """Check what segments are made with; arguments as for `segments`.

    Raises:
        ValueError: A number is outside of its range.
    """
    require(0 <= threshold <= 1, "threshold", threshold, "use a number from 0 to 1")
    require(0 <= low <= threshold, "low", low, f"use a number from 0 to the threshold, {threshold:g}")
    require(0 <= least_s < np.inf, "least_s", least_s, "use seconds")
    require(0 <= gap_s < np.inf, "gap_s", gap_s, "use seconds")


def segments(
    timeline: Scored, threshold: float, low: float | None = None, least_s: float = 0.0, gap_s: float = 0.0
) -> list[Segment]:
    """Find the segments of a video.

    A segment begins where the score reaches the threshold and lasts while the score is at least `low`, so that a score
    that wavers about the threshold makes one segment, not many (a Schmitt trigger). Then segments of a class that are
    close are joined, and after that the short ones are dropped. Where the class of interest is given, all segments are
    of that class; otherwise each class has its own, and those of different classes may overlap.

    Args:
        timeline: Scores of windows, see `clipfold.delivery.timeline.Timeline.steps` for their scores over time.
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
    check_choices(threshold, low, least_s, gap_s)
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


def strongest(timeline: Scored, found: Sequence[Segment], most: int = 12) -> list[float]:
    """Choose the times of the strongest frames: the peaks of segments, then high scores, within segments if there are.

    They keep a distance of a window, and of a share of the video, so that they show different moments. A video without
    segments has a third as many: what nearly counted is worth a look, but not more.

    Args:
        timeline: Scores of windows.
        found: The segments of the same video.
        most: Most times.

    Returns:
        Times in seconds, ascending.
    """
    edges, scores = timeline.steps
    wanted = scores[:, [list(timeline.classes).index(label) for label in timeline.labels]]
    best = np.fmax.reduce(wanted, axis=1, initial=-1.0)
    inside = np.zeros(len(best), bool)
    for segment in found:
        inside |= (edges[:-1] >= segment.start) & (edges[1:] <= segment.end)
    eligible = (best >= 0) & (inside if found else True)
    distance = max(np.max(timeline.end - timeline.start, initial=0.0), timeline.duration / (4 * most))
    most = most if found else most // 3
    candidates = [s.peak_time for s in sorted(found, key=lambda s: -s.peak)]
    candidates += [_middle(edges, step) for step in np.argsort(-best, kind="stable") if eligible[step]]
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


def _middle(edges: Array, step: int) -> float:
    return round(float(edges[step] + edges[step + 1]) / 2, 3)


def _spans(score: Array, threshold: float, low: float) -> Iterator[tuple[int, int]]:
    """Yield the first step of each segment, and the step after its last."""
    lasting = np.concatenate([[False], score >= low, [False]])  # NaN is not
    for first, stop in np.flatnonzero(np.diff(lasting)).reshape(-1, 2):
        reached = np.flatnonzero(score[first:stop] >= threshold)
        if len(reached):
            yield int(first + reached[0]), int(stop)


def _segment(timeline: Scored, label: str, first: int, stop: int) -> Segment:
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
