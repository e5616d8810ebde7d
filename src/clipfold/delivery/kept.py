"""Keep what was found in each long video until all are done, so that an interrupted prediction continues."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clipfold.delivery.timeline import Timeline
from clipfold.delivery.windows import Watched
from clipfold.manifest.contents import stamp
from clipfold.status import Status
from clipfold.storage.files import write_json
from clipfold.storage.records import parse_json, read_or_ignore
from clipfold.video.container import Unusable


class KeptVideos:
    """What was found in videos, a file for each.

    Args:
        folder: Where the files lie.
        settings: All that decides what is found, besides the video: plain values. Files of other settings are ignored.
    """

    def __init__(self, folder: Path, *settings: object) -> None:
        self.folder = folder
        self._settings = settings

    def get(self, name: str, path: str, watch: Callable[[], Watched]) -> Watched:
        """Return what was found in a video; if it is not kept, or was written to since, watch it and keep that.

        Raises:
            Unusable: As `watch`, which is kept, too.
        """
        seen = json.dumps([*self._settings, name, path, stamp(path)])
        file = self.folder / f"{hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()}.json"
        found = read_or_ignore(file, _parse)
        if found is None:
            try:
                found = watch()
            except Unusable as error:
                found = error
            write_json(file, _plain(found))
        if isinstance(found, Unusable):
            raise found
        return found


def _plain(found: Watched | Unusable) -> dict[str, object]:
    """Return plain values for JSON, which holds float64 exactly, but not NaN."""
    if isinstance(found, Unusable):
        return {"status": str(found.status), "reason": found.reason}
    timeline = found.timeline
    return {
        "timeline": {
            **{name: getattr(timeline, name) for name in ("video", "duration", "positive", "threshold")},
            **{name: list(getattr(timeline, name)) for name in ("classes", "reason")},
            **{name: getattr(timeline, name).tolist() for name in ("start", "end")},
            "status": [str(status) for status in timeline.status],
            "probabilities": [
                row.tolist() if usable else None
                for row, usable in zip(timeline.probabilities, timeline.usable, strict=True)
            ],
        },
        "stills": [[time, base64.b64encode(picture).decode()] for time, picture in found.stills],
    }


def _parse(content: bytes) -> Watched | Unusable:
    values = parse_json(content)
    if "timeline" not in values:
        return Unusable(Status(values["status"]), values["reason"])
    timeline = values["timeline"]
    unknown = [np.nan] * len(timeline["classes"])
    arrays = {name: np.array(timeline[name], np.float64) for name in ("start", "end")}
    scores = np.array([unknown if row is None else row for row in timeline["probabilities"]], np.float64)
    stills = [(float(time), base64.b64decode(picture)) for time, picture in values["stills"]]
    return Watched(Timeline(**timeline | arrays | {"probabilities": scores}), stills)
