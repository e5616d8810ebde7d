"""Write timelines as a page: scores over time, strongest frames, a list of segments to jump to."""

import base64
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from clipfold.checks import require
from clipfold.delivery.segments import Segment
from clipfold.delivery.timeline import Timeline
from clipfold.delivery.timeline_drawing import clock, lane, ticks
from clipfold.report.render import environment
from clipfold.storage.places import without_places
from clipfold.storage.replace import replacing

MOST = {"videos": 50, "lanes": 6, "segments": 200, "frames": 12, "reasons": 5}
"""Most that the page shows of each, so that any browser opens it; the files beside it hold all."""


def write_timeline_page(
    timelines: Sequence[Timeline],
    found: Sequence[Segment],
    output: str | Path,
    threshold: float,
    low: float | None = None,
    frames: Mapping[str, Sequence[tuple[float, bytes]]] | None = None,
    unread: Mapping[str, str] | None = None,
    profile: str = "",
) -> None:
    """Write the page as one file that needs no other file and no network.

    Times are links into a video that lies in the page's folder or below it, as a path relative to the page.

    Args:
        timelines: One for each video, all of the same classes.
        found: The segments of all videos.
        output: HTML file to write.
        threshold: Score that begins a segment.
        low: Score below which a segment ends; None for the threshold.
        frames: JPEG files of the strongest frames and their times in seconds, by video.
        unread: Video -> why it could not be read, for those without timeline.
        profile: The profile of the predictions, if they differ from how the folds were evaluated.

    Raises:
        ValueError: A frame is no JPEG.
    """
    pictures = {} if frames is None else frames
    names = [timeline.video for timeline in timelines]
    by_video: dict[str, list[Segment]] = {name: [] for name in names}
    for segment in found:
        by_video[segment.video].append(segment)
    shown = sorted(timelines, key=_peak, reverse=True)[: MOST["videos"]]
    kept = {id(timeline) for timeline in shown}
    videos = [
        _video(each, by_video[each.video], pictures.get(each.video, ()), Path(output).parent, names)
        for each in timelines
        if id(each) in kept
    ]
    facts = {
        "labels": timelines[0].labels if timelines else (),
        "threshold": threshold,
        "low": threshold if low is None else low,
        "all_videos": len(timelines),
        "with_segments": sum(bool(by_video[name]) for name in names),
        "segments": len(found),
        "segment_seconds": sum(segment.end - segment.start for segment in found),
        "duration": sum(timeline.duration for timeline in timelines),
        "windows": sum(len(timeline.start) for timeline in timelines),
        "unusable": sum(int((~timeline.usable).sum()) for timeline in timelines),
        "strongest": max((v for v in videos if v["peak"] is not None), key=lambda v: v["peak"], default=None),
        "videos": videos,
        "profile": profile,
        "unread": [(_without_folders(name, names), why) for name, why in (unread or {}).items()],
    }
    templates = environment(Path(__file__).parent)
    templates.filters["clock"] = clock
    with replacing(output) as file:
        file.write(templates.get_template("timeline.html").render(facts).encode())


def _peak(timeline: Timeline) -> float:
    """Return the highest score of the wanted classes, -1 without any."""
    return max((_peak_of(timeline, label) for label in timeline.labels), default=-1.0)


def _peak_of(timeline: Timeline, label: str) -> float:
    return float(np.fmax.reduce(timeline.score(label), initial=-1.0))


def _video(
    timeline: Timeline,
    found: Sequence[Segment],
    frames: Sequence[tuple[float, bytes]],
    folder: Path,
    names: Sequence[str],
) -> dict[str, Any]:
    """Gather what the page says of a video."""
    edges, _ = timeline.steps
    extent = max(timeline.duration, float(edges[-1]) if len(edges) else 0.0, 0.001)
    problems = Counter((str(timeline.status[i]), timeline.reason[i]) for i in np.flatnonzero(~timeline.usable).tolist())
    listed = sorted(found, key=lambda segment: -segment.peak)[: MOST["segments"]]
    labels = sorted(timeline.labels, key=lambda label: -_peak_of(timeline, label))
    lanes = [lane(timeline, each, [s for s in found if s.label == each], extent) for each in labels[: MOST["lanes"]]]
    return {
        "name": _without_folders(timeline.video, names),
        "link": _link(timeline.video, folder),
        "duration": timeline.duration,
        "extent": extent,
        "tenths": extent < 600,
        "windows": len(timeline.start),
        "unusable": sum(problems.values()),
        "problems": [
            (status, _without_folders(reason, names), count)
            for (status, reason), count in problems.most_common(MOST["reasons"])
        ],
        "peak": lanes[0]["peak"] if lanes else None,
        "peak_time": lanes[0]["peak_time"] if lanes else None,
        "count": len(found),
        "seconds": sum(segment.end - segment.start for segment in found),
        "segments": sorted(listed, key=lambda segment: segment.start),
        "lanes": lanes,
        "all_lanes": len(labels),
        "ticks": list(ticks(extent)),
        "frames": [
            {"time": time, "x": 100 * time / extent, "picture": _jpeg(data), **_at(timeline, time)}
            for time, data in sorted(frames)[: MOST["frames"]]
        ],
    }


def _without_folders(text: str, names: Sequence[str]) -> str:
    """Shorten paths: no reader of the page needs this machine's folders, which reasons of problems may name too."""
    return re.sub(r"(?<![^\s'\"(=])/(?:[^/\s'\"]+/)*", "", without_places(text, names))


def _link(video: str, folder: Path) -> str | None:
    """Return the address of a video relative to the page's folder, None where it is not in there."""
    for path in (folder / video, Path(video)):
        place, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
        if os.path.isfile(place) and place.is_relative_to(base):
            # The dot keeps a name with a colon from being read as another scheme.
            return f"./{quote(place.relative_to(base).as_posix())}"
    return None


def _jpeg(data: bytes) -> str:
    require(data[:3] == b"\xff\xd8\xff", "first bytes of a frame", data[:3], "give JPEG files")
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _at(timeline: Timeline, time: float) -> dict[str, Any]:
    """Return the wanted class that scores highest at a moment, and its score; none where nothing is known."""
    edges, _ = timeline.steps
    step = int(np.searchsorted(edges, time, "right")) - 1
    known = {label: float(timeline.score(label)[step]) for label in timeline.labels if 0 <= step < len(edges) - 1}
    known = {label: score for label, score in known.items() if score == score}
    label = max(known, key=lambda each: known[each], default=None)
    return {"label": label, "score": known[label] if label is not None else float("nan")}
