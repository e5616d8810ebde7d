"""Statuses of a video, and the error that carries one. Standard library only."""

from enum import StrEnum


class Status(StrEnum):
    """The status of a video: `ok`, or the reason why it is quarantined."""

    OK = "ok"
    MISSING = "missing"
    EMPTY = "empty"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    NO_VIDEO_STREAM = "no_video_stream"
    UNSUPPORTED_CODEC = "unsupported_codec"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    NO_FRAMES = "no_frames"
    TOO_SHORT = "too_short"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    FAILED = "failed"
    DUPLICATE = "duplicate"


DECODABLE = frozenset({Status.OK, Status.TRUNCATED, Status.CORRUPT, Status.TOO_SHORT})
"""Statuses in which a video may still have frames that can be decoded."""


class Unusable(Exception):
    """A video that cannot be used.

    Args:
        status: the kind of failure.
        reason: a sentence for people, with the values found.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def facts(self) -> dict[str, str]:
        """Return the columns `status` and `reason` of a table row."""
        return {"status": self.status, "reason": self.reason}
