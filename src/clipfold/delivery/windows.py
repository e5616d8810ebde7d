"""Predict windows of long videos: each video is decoded once, in memory that does not depend on its length."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.delivery.feature_groups import feature_groups
from clipfold.delivery.timeline import Timeline
from clipfold.delivery.unchanged import Unchanged
from clipfold.features.extract import shown_views, video_features
from clipfold.features.registry import GROUPS
from clipfold.image.decode import CONTAINERS
from clipfold.settings import ProbeSettings
from clipfold.status import Status
from clipfold.storage.files import Array
from clipfold.video.container import Unusable
from clipfold.video.probe import SCHEMA, probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import Uniform
from clipfold.video.windows import Window, check_lengths, windows_in_worker
from clipfold.video.workers import VideoWorker

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

BATCH = 16
"""Windows that the models take at once."""

STILLS = 240
"""Parts of a video of which each keeps the frame of its strongest window."""

_STILL = Uniform(frames=1, size=256)


@dataclass(slots=True)
class Seen:
    """A window on its way from the decoder to the models.

    Args:
        start: Its begin in seconds from the first frame.
        end: Its end.
        status: `ok`, or why it cannot be predicted.
        reason: The same in words.
        clip: uint8 (frames, size, size, 3), if the models read clips or embeddings of them.
        box: Content box of the clip.
        features: Its features, if the models read some.
        still: A frame, uint8 (height, width, 3).
    """

    start: float
    end: float
    status: str
    reason: str
    clip: Array | None = None
    box: list[int] = field(default_factory=list)
    features: dict[str, float] = field(default_factory=dict)
    still: Array | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """A long video, predicted.

    Args:
        timeline: The scores of its windows.
        stills: Time in seconds and JPEG of its strongest frames, at most one in each of `STILLS` parts.
    """

    timeline: Timeline
    stills: list[tuple[float, bytes]]


def watch(
    bundle: "OpenBundle", path: str, window: float, stride: float, name: str | None = None, label: str | None = None
) -> Watched:
    """Predict the windows of a video.

    Args:
        bundle: The bundle.
        path: The file.
        window: Length of a window in seconds.
        stride: Time from the start of a window to that of the next, in seconds.
        name: Name of the video; its path by default.
        label: The class of interest; by default the second of two, and all of more.

    Raises:
        ValueError: `label` is no class of the bundle, or a length is not a positive number.
        Unusable: The video cannot be read.
    """
    ((_, found),) = watch_all(bundle, {name or path: path}, window, stride, label)
    if isinstance(found, Unusable):
        raise found
    return found


def watch_all(
    bundle: "OpenBundle",
    paths: Mapping[str, str],
    window: float,
    stride: float,
    label: str | None = None,
    at_once: int = 1,
) -> Iterator[tuple[str, Watched | Unusable]]:
    """Predict the windows of several videos, some of which are decoded at the same time.

    What is found in a video does not depend on the others: models take windows of one video at a time.

    Args:
        bundle: The bundle.
        paths: Name -> file of each video.
        window: As for `watch`.
        stride: As for `watch`.
        label: As for `watch`.
        at_once: Videos to decode at the same time, each in a process of its own.

    Yields:
        The name of each video, as soon as it is done, and what was found, or why it cannot be read.

    Raises:
        ValueError: As `watch`.
    """
    check_lengths(window, stride)  # before any work, which takes hours for some videos
    label = bundle.description["positive"] if label is None else label
    require(label in (None, *bundle.classes), "class", label, f"use one of {', '.join(bundle.classes)}")
    upcoming = iter(paths.items())
    watching = dict[VideoWorker[Seen], _Watching]()
    try:
        while True:
            while len(watching) < at_once and (video := next(upcoming, None)) is not None:
                try:
                    started = _Watching(bundle, *video, window, stride, label)
                except Unusable as unusable:
                    yield video[0], unusable
                else:
                    watching[started.seen] = started
            if not watching:
                return
            for worker in VideoWorker.ready(list(watching)):
                found = watching[worker].step()
                if found is not None:
                    yield watching.pop(worker).name, found
    finally:
        for worker in watching:
            worker.close()


class _Watching:
    """A video whose windows are being predicted.

    Args:
        bundle: The bundle.
        name: Name of the video.
        path: The file.
        window: Length of a window in seconds.
        stride: Time from the start of a window to that of the next, in seconds.
        label: The class of interest, None for all.

    Attributes:
        name: Name of the video.
        seen: The process that decodes it.

    Raises:
        Unusable: The video cannot be read.
    """

    def __init__(
        self, bundle: "OpenBundle", name: str, path: str, window: float, stride: float, label: str | None
    ) -> None:
        policy, probed = bundle.policy, _probe(path, bundle.probe)
        if policy.action(probed["status"]) != "use":
            raise Unusable(Status(probed["status"]), probed["reason"])
        if probed["container"] in CONTAINERS:
            raise Unusable(Status.REFUSED, "windows are cut from video files, not from images")
        groups = feature_groups(bundle)
        clips = "clips" in bundle.reads or bool(bundle.encoders)
        read = {GROUPS[name].view for name in groups} | ({"clips"} if clips else set())
        views = {name: view for name, view in bundle.views.items() if name in read} | {"still": _STILL}
        facts = probed | {"id": path, "path": path}
        stream = Stream.of(facts, bundle.probe.max_pixels, bundle.decode.loop_filter, bundle.profile.threads)
        see = partial(_see, probed, clips, groups, policy.action(Status.CORRUPT) == "use")
        self.name, self._bundle, self._label, self._duration = name, bundle, label, probed["duration"]
        self._batch = list[Seen]()
        self._start, self._end, self._scores = array("d"), array("d"), array("d")  # of a day there are 86,400
        self._status, self._reason = list[str](), list[str]()
        self._stills: dict[int, tuple[float, float, bytes]] = {}
        self._nothing = np.full(len(bundle.classes), np.nan)
        self._unchanged, self._last, self._since = Unchanged(bundle.profile.unchanged), self._nothing, 0.0
        self.seen = windows_in_worker(stream, views, window, stride, see, timeout_s=bundle.decode.timeout_s)

    def step(self) -> Watched | Unusable | None:
        """Wait for the next window; predict those that wait if they are enough. Return what was found after the last.

        Raises:
            NotTheVideo: A fault of the machine, or the file changed.
        """
        try:
            upcoming = next(self.seen, None)
        except Unusable as unusable:
            return unusable
        if upcoming is not None:
            self._batch.append(upcoming)
        if upcoming is None or len(self._batch) == BATCH:
            self._answer(self._batch)
            self._batch = []
        return self._watched() if upcoming is None else None

    def _answer(self, batch: list[Seen]) -> None:
        same = [each.clip is not None and not each.features and self._unchanged(each.clip) for each in batch]
        changed = [each for each, as_before in zip(batch, same, strict=True) if not as_before]
        found = _predict(self._bundle, [each for each in changed if each.status == Status.OK])
        asked = None if self._label is None else self._bundle.classes.index(self._label)
        for each, as_before in zip(batch, same, strict=True):
            if as_before:
                each.reason = f"unchanged since {self._since:.3f} s"
            elif each.status == Status.OK:
                self._last, self._since = next(found), each.start
            probabilities = self._last if each.status == Status.OK else self._nothing
            self._start.append(each.start)
            self._end.append(each.end)
            self._scores.extend(probabilities)
            self._status.append(each.status)
            self._reason.append(each.reason)
            score = probabilities.max() if asked is None else probabilities[asked]
            _keep_still(self._stills, each, float(score), self._duration)

    def _watched(self) -> Watched:
        timeline = Timeline(
            video=self.name,
            duration=max(self._duration, self._end[-1]),
            classes=self._bundle.classes,
            positive=self._label,
            start=np.array(self._start),
            end=np.array(self._end),
            probabilities=np.reshape(self._scores, (-1, len(self._bundle.classes))),
            status=self._status,
            reason=self._reason,
            threshold=self._bundle.threshold_of(self._label),
        )
        return Watched(timeline, sorted((time, picture) for _, time, picture in self._stills.values()))


def _probe(path: str, settings: ProbeSettings) -> dict[str, Any]:
    """Probe a video in a process of its own, as `probe_shard` does; returns a row of its table."""
    video = {"id": path, "path": path}
    try:
        (facts,) = VideoWorker(partial(_probed, settings), video, timeout_s=settings.timeout_s, stage="probe")
    except Unusable as unusable:
        facts = {"status": unusable.status, "reason": unusable.reason}
    return dict.fromkeys(SCHEMA.names) | facts


def _probed(settings: ProbeSettings, video: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    facts = probe_video(video["path"], settings)
    pts = facts.get("pts")
    # Two hours of timestamps are 1.4 MB; as Python's integers, on their way from here, they would take fifty.
    yield facts if not pts or None in pts else facts | {"pts": array("q", pts)}


def _see(probed: Mapping[str, Any], clips: bool, groups: list[str], use_damaged: bool, window: Window) -> Seen:
    """Reduce a window to what the models read; runs beside the decoder."""
    decoded = window.decoded
    status, reason = decoded.facts["status"], decoded.facts["reason"]
    if status == Status.CORRUPT and use_damaged and decoded.arrays:
        status, reason = Status.OK, ""
    seen = Seen(window.span.start, window.span.end, str(status), reason)
    if status != Status.OK:
        return seen
    arrays, facts = decoded.arrays, decoded.facts
    if clips:
        seen.clip, seen.box = arrays["clips"], facts["clips_box"]
    if groups:
        seen.features = video_features(probed, shown_views(arrays, facts), groups)
    top, left, height, width = facts["still_box"]
    seen.still = arrays["still"][0, top : top + height, left : left + width]
    return seen


def _predict(bundle: "OpenBundle", batch: list[Seen]) -> Iterator[Array]:
    """Yield the calibrated probabilities of each window."""
    if batch:
        reads = bundle.reads
        clips = [each.clip for each in batch if each.clip is not None]
        stacked = np.stack(clips) if clips else np.empty(0, np.uint8)
        features = None
        if "features" in reads:
            features = bundle.with_embeddings(pd.DataFrame([each.features for each in batch]), stacked)
        raw = bundle.probabilities(
            features=features,
            clips=stacked if "clips" in reads else None,
            boxes=np.array([each.box for each in batch], np.int64) if "clips" in reads else None,
        )
        yield from bundle.answers(raw).probabilities


def _keep_still(stills: dict[int, tuple[float, float, bytes]], seen: Seen, score: float, duration: float) -> None:
    """Keep the frame of a window if it is the strongest of its part of the video."""
    middle = (seen.start + seen.end) / 2
    part = int(STILLS * middle / max(duration, seen.end))
    if seen.still is not None and (part not in stills or score > stills[part][0]):
        coded, picture = cv2.imencode(".jpg", cv2.cvtColor(seen.still, cv2.COLOR_RGB2BGR))
        assert coded
        stills[part] = (score, middle, picture.tobytes())
