"""Keep what several models make of the same clips, so that it is made once."""

from collections.abc import Callable, Hashable
from typing import Any, Self

from clipfold.storage.files import Array


class SharedClips:
    """Clips that several models predict from, one after the other.

    Args:
        stored: Letterboxed clips, `uint8` (videos, frames, size, size, 3).
    """

    def __init__(self, stored: Array) -> None:
        self.stored = stored
        self._made: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, clips: "Array | Self") -> "SharedClips":
        """Return the clips as they are, or wrapped."""
        return clips if isinstance(clips, SharedClips) else cls(clips)

    def only(self, which: Array) -> "SharedClips":
        """Return some of the clips, bool (videos,); if these are all, with what was made of them."""
        return self if which.all() else SharedClips(self.stored[which])

    def once(self, what: Hashable, first: int, last: int, make: Callable[[Array], Any]) -> Any:
        """Return what `make` makes of the clips from `first` to `last`, excluded; of one `what`, this is kept."""
        key = what, first, last
        if key not in self._made:
            self._made[key] = make(self.stored[first:last])
        return self._made[key]
