"""Fill the views of a stretch of a video, one of many that are decoded in the same pass."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

from clipfold.status import Status
from clipfold.video.decode import Decoded, Keeper, Shot
from clipfold.video.stream import Counts

_LATE = 32  # frames after which a missing one is given up: codecs reorder at most 16


class Marked(Container[int]):
    """Some of the numbers from 0 to `size`, in a byte each: a set would take fifty times as much memory."""

    def __init__(self, size: int) -> None:
        self._marks = bytearray(size)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number >= 0 and bool(self._marks[number])

    def update(self, numbers: Iterable[int]) -> None:
        """Add the numbers."""
        for number in numbers:
            self._marks[number] = 1


@dataclass(slots=True)
class Filling:
    """A stretch of a video whose views are being filled.

    Args:
        first: index in display order of its first frame, from which the keeper counts.
        last: index of its last frame, included.
        keeper: collector of its frames.
        damaged: number of its wanted frames that follow a decoding error.
    """

    first: int
    last: int
    keeper: Keeper
    damaged: int = 0

    def offer(self, shot: Shot, index: int, broken: bool) -> None:
        """Keep what the views want of the frame with this index in the video; `broken` if it follows an error."""
        if index - self.first in self.keeper.missing:
            self.keeper.offer(shot, index - self.first)
            self.damaged += broken

    def is_over(self, index: int) -> bool:
        """Return whether nothing more can come after the frame with this index."""
        return not self.keeper.missing or index > self.last + _LATE

    def decoded(self, counts: Counts, warning: str) -> Decoded:
        """Return the views; none if wanted frames are missing, and the facts `status`, `reason`, `warning` alone."""
        facts: dict[str, Any] = {"warning": warning, "status": Status.OK, "reason": ""}
        missing, wanted = len(self.keeper.missing), len(self.keeper.wanted)
        if missing or self.damaged:
            facts["status"] = Status.CORRUPT if counts.errors else Status.TRUNCATED
            facts["reason"] = f"{missing or self.damaged} of {wanted} wanted frames " + (
                "were not decoded" if missing else "follow a decoding error"
            )
        if counts.errors and facts["reason"]:
            facts["reason"] += f"; {counts.errors} decoding errors so far, the first {counts.first_error}"
        return Decoded({}, facts) if missing else self.keeper.decoded(facts)
