"""Read what is stored of all videos for the search of near duplicates, as it is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clipfold.leakage.hash_shard import Shard
from clipfold.leakage.hashes import WINDOWS
from clipfold.storage.files import Array, PathLike, open_array, read_table


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Files of all shards, in one order.

    Args:
        hashes: arrays of hashes from `hash_shard`.
        pictures: arrays of pictures from `hash_shard`.
        keypoints: arrays of keypoints from `hash_shard`.
        clips: arrays of the view that was searched.
        indices: indices of the decoded shards.
    """

    hashes: Sequence[PathLike]
    pictures: Sequence[PathLike]
    keypoints: Sequence[PathLike]
    clips: Sequence[PathLike]
    indices: Sequence[PathLike]


class Videos:
    """The videos of all shards, numbered in the order of these: arrays are mapped, and hashes are read in part.

    Args:
        stored: the files.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._hashes, self._pictures = (
            [open_array(path) for path in paths] for paths in (stored.hashes, stored.pictures)
        )
        self.counts = [len(each) for each in self._hashes]
        """Number of videos of each shard."""
        self._first = np.cumsum([0, *self.counts])
        self._shard = lru_cache(None)(lambda shard: Shard(stored.clips[shard], stored.indices[shard]))

    def __len__(self) -> int:
        return int(self._first[-1])

    def whole(self) -> Array:
        """Return the hashes of the whole backgrounds, uint64 (videos,)."""
        return np.concatenate([np.zeros(0, np.uint64), *(each[:, 0] for each in self._hashes)])

    def frames(self) -> Array:
        """Return the hashes of the frames, uint64 (videos, frames)."""
        return np.concatenate([each[:, len(WINDOWS) :] for each in self._hashes])

    def windows(self, block: range) -> Array:
        """Return the hashes of the windows of some videos, uint64 (videos, windows)."""
        parts = [
            each[max(0, block.start - first) : max(0, block.stop - first), : len(WINDOWS)]
            for each, first in zip(self._hashes, self._first.tolist(), strict=False)
        ]
        return np.concatenate(parts)

    def pictures(self, video: int) -> Array:
        """Return the pictures of a video, `uint8` (1 + frames, size, size)."""
        shard, row = self._place(video)
        return np.asarray(self._pictures[shard][row])

    def grey(self, video: int) -> Array:
        """Return the frames of a video in which keypoints are searched, see `Shard.grey`."""
        shard, row = self._place(video)
        return self._shard(shard).grey(row)

    def keypoints(self) -> list[Array]:
        """Return the keypoints of each shard."""
        return [open_array(path) for path in self._stored.keypoints]

    def ids(self) -> list[str]:
        """Return the ids of all videos."""
        tables = (read_table(path, ["id", "row"]) for path in self._stored.indices)
        return [
            each for table in tables for each in table.filter(table["row"].is_valid()).sort_by("row")["id"].to_pylist()
        ]

    def _place(self, video: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._first, video, side="right")) - 1
        return shard, video - int(self._first[shard])
