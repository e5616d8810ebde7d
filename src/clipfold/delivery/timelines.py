"""Predict the windows of many videos and write timelines: table, segments, captions, page."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from clipfold.checks import require
from clipfold.delivery.predict import SUFFIXES, write_predictions
from clipfold.delivery.prepare import require_some
from clipfold.delivery.run import Done
from clipfold.delivery.segments import Segment, check_choices, segments, strongest, write_segments_csv, write_vtt
from clipfold.delivery.timeline import Timeline
from clipfold.delivery.timeline_page import write_timeline_page
from clipfold.delivery.windows import Watched, watch
from clipfold.video.container import Unusable
from clipfold.video.windows import check_lengths

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

logger = logging.getLogger(__name__)

SEGMENTS = "segments.csv"


@dataclass(frozen=True, slots=True)
class Cut:
    """How videos are cut into windows and segments, in seconds; see `clipfold.delivery.timeline.segments`.

    Args:
        window: Length of a window.
        stride: Time from the start of a window to that of the next.
        label: The class of interest; None for the second of two, and for all of more.
        threshold: Score that begins a segment; None for the threshold of the bundle, or 0.5.
        low: Score below which a segment ends; None for the threshold.
        least: Shortest segment.
        gap: Segments less than this apart are joined.
    """

    window: float
    stride: float
    label: str | None = None
    threshold: float | None = None
    low: float | None = None
    least: float = 0.0
    gap: float = 0.0

    def __post_init__(self) -> None:
        check_lengths(self.window, self.stride)


def timelines_to(
    bundle: "OpenBundle", paths: Mapping[str, str], output: Path, cut: Cut, page: bool, progress: Callable[[int], Any]
) -> Done:
    """Predict the windows of videos and write what was found.

    Beside the table of windows, `output`, this writes `segments.csv`, a `.vtt` for each video and the page.

    Args:
        bundle: The bundle.
        paths: id -> file of each video.
        output: Table of windows to write, a row for each, and one for each video that cannot be used.
        cut: Windows and segments.
        page: Whether to write the page, `output` with the suffix `.html`.
        progress: Makes a progress bar for a number of videos.

    Raises:
        ValueError: The suffix is none of `SUFFIXES`, there are no videos, or a number of the cut is out of range.
    """
    require(output.suffix in SUFFIXES, "output", str(output), f"use a name that ends in {', '.join(SUFFIXES)}")
    require_some(paths)
    require(bundle.modality == "video", "window", cut.window, "leave it out: this bundle predicts images")
    require(output.name != SEGMENTS, "output", str(output), "use another name: the segments have this one")
    threshold = bundle.threshold_of(cut.label) if cut.threshold is None else cut.threshold
    check_choices(threshold, threshold if cut.low is None else cut.low, cut.least, cut.gap)
    tables: list[pd.DataFrame] = []
    watched: list[Watched] = []
    unread: dict[str, str] = {}
    found: dict[str, list[Segment]] = {}
    with progress(len(paths)) as bar:
        for name, path in paths.items():
            try:
                own = watch(bundle, path, cut.window, cut.stride, name, cut.label)
            except Unusable as unusable:
                logger.warning("%s: %s (%s)", name, unusable.status, unusable.reason)
                unread[name] = f"{unusable.status} ({unusable.reason})"
                tables.append(
                    pd.DataFrame([{"video": name, "status": str(unusable.status), "reason": unusable.reason}])
                )
            else:
                watched.append(own)
                found[name] = segments(own.timeline, threshold, cut.low, cut.least, cut.gap)
                tables.append(own.timeline.to_frame().assign(video=name))
            bar.update()
    table = pd.concat(tables, ignore_index=True)
    columns = ["video", "start", "end", *(f"p_{name}" for name in bundle.classes), "status", "reason"]
    write_predictions(table.reindex(columns=columns), output)
    everything = [segment for own in found.values() for segment in own]
    written = [output, output.with_name(SEGMENTS), *_captions(output, paths)]
    write_segments_csv(written[1], everything)
    for name, file in zip(paths, written[2:], strict=True):
        write_vtt(file, found.get(name, []))
    if page:
        written.append(output.with_suffix(".html"))
        stills = {each.timeline.video: _stills(each, found[each.timeline.video]) for each in watched}
        write_timeline_page(
            [each.timeline for each in watched], everything, written[-1], threshold, cut.low, stills, unread
        )
    return _summary(len(paths), [each.timeline for each in watched], everything, written)


def _captions(output: Path, paths: Mapping[str, str]) -> list[Path]:
    """Name a caption file for each video: as players find it, NAME.vtt, unless several videos have one name."""
    names: dict[str, None] = {}
    for path in paths.values():
        stem = re.sub(r"[^\w .+-]", "_", Path(path).stem) or "video"
        several = (f"{stem}-{number}" for number in count(2))
        names[next(name for name in chain([stem], several) if name not in names)] = None
    return [output.with_name(f"{name}.vtt") for name in names]


def _stills(watched: Watched, found: Sequence[Segment]) -> list[tuple[float, bytes]]:
    """Choose the strongest frames, those nearest to the strongest times."""
    times = strongest(watched.timeline, found)
    chosen = {min(watched.stills, key=lambda still: abs(still[0] - time)) for time in times if watched.stills}
    return sorted(chosen)


def _summary(total: int, timelines: Sequence[Timeline], found: Sequence[Segment], written: Sequence[Path]) -> Done:
    windows = sum(len(timeline.start) for timeline in timelines)
    seconds = sum(segment.end - segment.start for segment in found)
    text = f"{len(timelines)} of {total} videos, {windows} windows, {len(found)} segments of {seconds:.1f} s in total"
    return Done(total, len(timelines), f"{text}; wrote {', '.join(map(str, written))}")
