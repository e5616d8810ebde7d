"""Keep what was found in each long video until all are done, so that an interrupted prediction continues."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from clipfold.delivery.timeline import Timeline
from clipfold.delivery.windows import Watched
from clipfold.manifest.contents import stamp
from clipfold.status import Status
from clipfold.storage.files import Array
from clipfold.storage.records import parse_json, read_or_ignore
from clipfold.storage.replace import replacing
from clipfold.video.container import Unusable

_ARRAYS = ("start", "end", "probabilities")


class KeptVideos:
    """What was found in videos, a file for each.

    Args:
        folder: Where the files lie.
        settings: All that decides what is found, besides the video: plain values. Files of other settings are ignored.
    """

    def __init__(self, folder: Path, *settings: object) -> None:
        self.folder = folder
        self._settings = settings

    def file(self, name: str, path: str) -> Path:
        """Name the file of a video; once the video is written to, it is another one."""
        seen = json.dumps([*self._settings, name, path, stamp(path)])
        return self.folder / f"{hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()}.npz"


def read_kept(file: Path) -> Watched | Unusable | None:
    """Read what was found in a video, None if nothing is kept."""
    return read_or_ignore(file, _parse)


def keep(path: Path, found: Watched | Unusable) -> None:
    """Write what was found in a video, or why it cannot be read."""
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **_packed(found))


def _packed(found: Watched | Unusable) -> dict[str, Array]:
    """Return arrays, which are written one after another: as text, two hours would take 30 MB more memory."""
    if isinstance(found, Unusable):
        return {"facts": _text({"unusable": str(found.status), "reason": found.reason})}
    timeline = found.timeline
    facts = {name: getattr(timeline, name) for name in ("video", "duration", "positive", "threshold", "reason")}
    facts |= {"classes": list(timeline.classes), "status": [str(status) for status in timeline.status]}
    arrays = {name: getattr(timeline, name) for name in _ARRAYS}
    times = {"still_times": np.array([time for time, _ in found.stills], np.float64)}
    pictures = {f"still_{i}": np.frombuffer(picture, np.uint8) for i, (_, picture) in enumerate(found.stills)}
    return {"facts": _text(facts)} | arrays | times | pictures


def _text(facts: dict[str, object]) -> Array:
    return np.frombuffer(json.dumps(facts).encode(), np.uint8)


def _parse(content: bytes) -> Watched | Unusable:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        facts = parse_json(stored["facts"].tobytes())
        if "unusable" in facts:
            return Unusable(Status(facts["unusable"]), facts["reason"])
        timeline = Timeline(**facts, **{name: stored[name] for name in _ARRAYS})
        times = stored["still_times"].tolist()
        return Watched(timeline, [(time, stored[f"still_{i}"].tobytes()) for i, time in enumerate(times)])
