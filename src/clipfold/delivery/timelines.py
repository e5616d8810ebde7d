"""Predict the windows of many videos and write timelines: table, segments, captions, page."""

import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from clipfold.checks import require
from clipfold.delivery.kept import KeptVideos, keep, read_kept
from clipfold.delivery.outputs import check_output
from clipfold.delivery.predict import write_predictions
from clipfold.delivery.prepare import cores, require_some
from clipfold.delivery.run import Done
from clipfold.delivery.segments import Segment, check_choices, segments, strongest, write_segments_csv, write_vtt
from clipfold.delivery.timeline import Timeline
from clipfold.delivery.timeline_page import write_timeline_page
from clipfold.delivery.windows import Watched, watch_all
from clipfold.video.container import Unusable
from clipfold.video.windows import check_lengths

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

logger = logging.getLogger(__name__)

SEGMENTS = "segments.csv"


@dataclass(frozen=True, slots=True)
class Cut:
    """The cutting of videos into windows and segments, in seconds; see `clipfold.delivery.timeline.segments`.

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
    bundle: "OpenBundle",
    paths: Mapping[str, str],
    output: Path,
    cut: Cut,
    page: bool,
    progress: Callable[[int], Any],
    workers: int | None = None,
) -> Done:
    """Predict the windows of videos and write what was found.

    Beside the table of windows, `output`, this writes `segments.csv`, a `.vtt` for each video and the page. Videos that
    an interrupted call with the same bundle and windows has finished are not decoded again.

    Args:
        bundle: The bundle.
        paths: id -> file of each video.
        output: Table of windows to write, a row for each, and one for each video that cannot be used.
        cut: Windows and segments.
        page: Whether to write the page, `output` with the suffix `.html`.
        progress: Makes a progress bar for a number of videos.
        workers: Videos to decode at the same time; as many as cores by default.

    Raises:
        ValueError: The suffix is none of `SUFFIXES`, there are no videos, or a number of the cut is out of range.
    """
    check_output(output)
    require_some(paths)
    require(bundle.modality == "video", "window", cut.window, "leave it out: this bundle predicts images")
    require(output.name != SEGMENTS, "output", str(output), "use another name: the segments have this one")
    threshold = bundle.threshold_of(cut.label) if cut.threshold is None else cut.threshold
    check_choices(threshold, threshold if cut.low is None else cut.low, cut.least, cut.gap)
    tables: list[pd.DataFrame] = []
    timelines: list[Timeline] = []
    stills: dict[str, list[tuple[float, bytes]]] = {}
    unread: dict[str, str] = {}
    found: dict[str, list[Segment]] = {}
    decided = bundle.id, bundle.profile.changes, cut.window, cut.stride, cut.label
    kept = KeptVideos(output.with_name(f".{output.name}.parts"), *decided)
    files = {name: kept.file(name, path) for name, path in paths.items()}
    known = {name: own for name, file in files.items() if (own := read_kept(file)) is not None}
    left = {name: path for name, path in paths.items() if name not in known}
    watched = dict[str, Watched | Unusable]()
    with progress(len(paths)) as bar:
        new = watch_all(bundle, left, cut.window, cut.stride, cut.label, workers or cores())
        for name, own in chain(known.items(), new):
            if name in left:
                keep(files[name], own)
            if isinstance(own, Unusable):
                logger.warning("%s: %s (%s)", name, own.status, own.reason)
            watched[name] = own
            bar.update()
    for name in paths:
        own = watched.pop(name)
        if isinstance(own, Unusable):
            unread[name] = f"{own.status} ({own.reason})"
            tables.append(pd.DataFrame([{"video": name, "status": str(own.status), "reason": own.reason}]))
        else:
            timelines.append(own.timeline)
            found[name] = segments(own.timeline, threshold, cut.low, cut.least, cut.gap)
            stills[name] = _stills(own, found[name])
            tables.append(own.timeline.to_frame().assign(video=name))
    table = pd.concat(tables, ignore_index=True)
    columns = ["video", "start", "end", *(f"p_{name}" for name in bundle.classes), "status", "reason"]
    how = str(bundle.profile) if bundle.profile.changes else ""
    if how:
        table["profile"] = how
        columns.append("profile")
    write_predictions(table.reindex(columns=columns), output)
    everything = [segment for own in found.values() for segment in own]
    written = [output, output.with_name(SEGMENTS), *_captions(output, [paths[name] for name in found])]
    write_segments_csv(written[1], everything)
    for own_segments, file in zip(found.values(), written[2:], strict=True):
        write_vtt(file, own_segments)
    if page:
        written.append(output.with_suffix(".html"))
        write_timeline_page(timelines, everything, written[-1], threshold, cut.low, stills, unread, how)
    shutil.rmtree(kept.folder, ignore_errors=True)
    return _summary(len(paths), timelines, everything, written)


def _captions(output: Path, paths: Sequence[str]) -> list[Path]:
    """Name a caption file for each video: as players find it, NAME.vtt, unless several videos have one name."""
    names: dict[str, None] = {}
    for path in paths:
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
