"""Clips of many shards as one collection, memory-mapped: only what is asked for is read."""

from collections.abc import Sequence

import numpy as np

from clipfold.store import Array, PathLike, open_array, read_table


class Clips:
    """Stored clips and their augmented copies, by video.

    Args:
        clips: arrays of the shards, `uint8` of (videos, frames, size, size, 3).
        indices: their indices, with `id` and `row`.
        copies: arrays of augmented copies.
        copy_indices: their indices, with `id`, `copy` and `row`.
        frames: how many frames of each clip to give, spread evenly.
    """

    def __init__(
        self,
        clips: Sequence[PathLike],
        indices: Sequence[PathLike],
        copies: Sequence[PathLike],
        copy_indices: Sequence[PathLike],
        frames: int,
    ) -> None:
        self._versions: dict[str, list[tuple[Array, int]]] = {}
        for path, index in zip(clips, indices, strict=True):
            array = open_array(path)
            for row in read_table(index, ["id", "row"]).to_pylist():
                if row["row"] is not None:
                    self._versions[row["id"]] = [(array, row["row"])]
        for path, index in zip(copies, copy_indices, strict=True):
            array = open_array(path)
            for row in read_table(index, ["id", "row"]).to_pylist():
                self._versions[row["id"]].append((array, row["row"]))
        stored = open_array(clips[0]).shape[1]
        self._frames = [(2 * i + 1) * stored // (2 * frames) for i in range(frames)]

    def versions(self, video_id: str) -> int:
        """How many versions of a video there are: itself and its copies."""
        return len(self._versions[video_id])

    def gather(self, ids: Sequence[str], versions: Sequence[int] | None = None) -> Array:
        """Read clips.

        Args:
            ids: of the videos.
            versions: which version of each, 0 being the video itself; by default all 0.

        Returns:
            `uint8` of (ids, frames, size, size, 3).
        """
        chosen = [self._versions[i][v] for i, v in zip(ids, versions or [0] * len(ids), strict=True)]
        return np.stack([array[row, self._frames] for array, row in chosen])
