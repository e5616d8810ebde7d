"""Predict windows of long videos: each video is decoded once, in memory that does not depend on its length."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
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
from clipfold.video.workers import iterate_video

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
    check_lengths(window, stride)  # before any work, which takes hours for some videos
    label = bundle.description["positive"] if label is None else label
    require(label in (None, *bundle.classes), "class", label, f"use one of {', '.join(bundle.classes)}")
    policy, probed = bundle.policy, _probe(path, bundle.probe)
    if policy.action(probed["status"]) != "use":
        raise Unusable(Status(probed["status"]), probed["reason"])
    if probed["container"] in CONTAINERS:
        raise Unusable(Status.REFUSED, "windows are cut from video files, not from images")
    groups = feature_groups(bundle)
    clips = "clips" in bundle.reads or bool(bundle.encoders)
    read = {GROUPS[name].view for name in groups} | ({"clips"} if clips else set())
    views = {name: view for name, view in bundle.views.items() if name in read} | {"still": _STILL}
    profile, facts = bundle.profile, probed | {"id": path, "path": path}
    stream = Stream.of(facts, bundle.probe.max_pixels, bundle.decode.loop_filter, profile.threads)
    see = partial(_see, probed, clips, groups, policy.action(Status.CORRUPT) == "use")
    seen = windows_in_worker(stream, views, window, stride, see, timeout_s=bundle.decode.timeout_s)
    start, end, scores = array("d"), array("d"), array("d")  # of a day there are 86,400
    status, reason = list[str](), list[str]()
    stills: dict[int, tuple[float, float, bytes]] = {}
    nothing = np.full(len(bundle.classes), np.nan)
    unchanged, last, since = Unchanged(profile.unchanged), nothing, 0.0
    while batch := list(islice(seen, BATCH)):
        same = [each.clip is not None and not each.features and unchanged(each.clip) for each in batch]
        changed = [each for each, as_before in zip(batch, same, strict=True) if not as_before]
        found = _predict(bundle, [each for each in changed if each.status == Status.OK])
        for each, as_before in zip(batch, same, strict=True):
            if as_before:
                each.reason = f"unchanged since {since:.3f} s"
            elif each.status == Status.OK:
                last, since = next(found), each.start
            probabilities = last if each.status == Status.OK else nothing
            start.append(each.start)
            end.append(each.end)
            scores.extend(probabilities)
            status.append(each.status)
            reason.append(each.reason)
            score = probabilities.max() if label is None else probabilities[bundle.classes.index(label)]
            _keep_still(stills, each, float(score), probed["duration"])
    timeline = Timeline(
        video=name or path,
        duration=max(probed["duration"], end[-1]),
        classes=bundle.classes,
        positive=label,
        start=np.array(start),
        end=np.array(end),
        probabilities=np.reshape(scores, (-1, len(bundle.classes))),
        status=status,
        reason=reason,
        threshold=bundle.threshold_of(label),
    )
    return Watched(timeline, sorted((time, picture) for _, time, picture in stills.values()))


def _probe(path: str, settings: ProbeSettings) -> dict[str, Any]:
    """Probe a video in a process of its own, as `probe_shard` does; returns a row of its table."""
    video = {"id": path, "path": path}
    found = iterate_video(partial(_probed, settings), video, timeout_s=settings.timeout_s, stage="probe")
    try:
        (facts,) = found
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
