"""Facts of a part of a probed video: its frames, and whether it can be used. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from clipfold.status import DECODABLE, Status
from clipfold.video.parts import Part, frames_of

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings

_REORDERED = 16  # most frames by which codecs reorder: so many before a cut, some may be missing
_LACKING = 0.1  # share of a segment that may lie after the end of its file: lists are often rounded

_OF_FILE = ("pts", "keyframes")


class PartFacts:
    """The parts of one video, which share what was read of its file.

    Args:
        probed: what `probe_video` returned for the file.
        settings: limits that a usable part must keep.
    """

    def __init__(self, probed: Mapping[str, Any], settings: ProbeSettings) -> None:
        self._probed = probed
        self._settings = settings
        self._pts = np.sort(np.array([pts for pts in probed.get("pts") or () if pts is not None], np.int64))
        if len(self._pts):
            tick = float(Fraction(probed["time_base"]))
            self._times = array("d", (pts * tick for pts in self._pts.tolist()))
        else:  # frames are counted later, when they are decoded; until then, their clock is taken as steady
            rate = probed.get("fps") or 25.0
            self._times = array("d", (number / rate for number in range(probed.get("frames") or 0)))

    def of(self, part: Part) -> dict[str, Any]:
        """Return the row of the probe's table about a part, but for `pts` and `keyframes`, which are the file's."""
        facts = {name: value for name, value in self._probed.items() if name not in _OF_FILE}
        facts |= {"id": part.id, "start": part.start, "end": part.end, "file_bytes": facts.get("size_bytes")}
        if part.is_whole:
            return facts | {"first_frame": 0, "content": facts.get("digest")}
        if facts["status"] not in DECODABLE or not len(self._times):
            return facts
        place = frames_of(part, self._times)
        facts |= self._timing(place)
        facts["first_frame"] = place.start
        if place:
            whole = len(place) == len(self._times)
            facts["size_bytes"] = round(facts["size_bytes"] * len(place) / len(self._times))
            facts["content"] = facts["digest"] + ("" if whole else f"[{place.start}:{place.stop}]")
        return facts | self._verdict(part, place)

    def _timing(self, place: range) -> dict[str, Any]:
        """Return `frames`, `duration`, `fps` and `vfr` of the frames from one index to another."""
        times = self._times
        if not place:
            return {"frames": 0, "duration": 0.0}
        end = times[place.stop] if place.stop < len(times) else times[0] + self._probed["duration"]
        duration = float(end - times[place.start])
        steps = np.diff(self._pts[place.start : place.stop])
        varies = len(steps) > 0 and bool(steps.max() - steps.min() > max(2, 0.1 * np.median(steps)))
        rate = len(place) / duration if duration > 0 else self._probed["fps"]
        return {"frames": len(place), "duration": duration, "fps": rate, "vfr": varies}

    def _verdict(self, part: Part, place: range) -> dict[str, Any]:
        """Return `status` and `reason`."""
        length, reason = self._probed["duration"], self._probed["reason"]
        cut = self._probed["status"] == Status.TRUNCATED
        if cut and place.stop > len(self._times) - _REORDERED:
            return {"status": Status.TRUNCATED, "reason": reason}
        if not place:
            why = f"the video ends at {length:.9g} s" if (part.start or 0) >= length else "the frames are farther apart"
            return {"status": Status.NO_FRAMES, "reason": f"no frame is shown {part.described}: {why}"}
        if part.end is not None and part.end - length > _LACKING * (part.end - (part.start or 0)):
            return {
                "status": Status.TRUNCATED,
                "reason": f"the segment goes {part.described}, but the video ends at {length:.9g} s",
            }
        if len(place) < (least := self._settings.min_frames):
            return {
                "status": Status.TOO_SHORT,
                "reason": f"{len(place)} frames {part.described}, at least {least} are needed (probe.min_frames)",
            }
        return {"status": Status.OK, "reason": ""}
