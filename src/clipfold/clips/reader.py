"""Clips of many shards as one collection: only what is asked for is read."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from clipfold.storage.files import Array, ArrayReader, PathLike, read_table


class Clips:
    """Stored clips, or embeddings of their frames, and those of their augmented copies, by video.

    Args:
        files: `clips`, arrays of the shards, (videos, frames, ...); `index`, their tables with `id`, `row` and the
            content's box in pixels of the stored clip; `augmented` and `augmented_index`, the same for the augmented
            copies, whose boxes are those of their videos.
        frames: how many frames of each clip to give, spread evenly.
        stored_size: edge in pixels of the square that the boxes are about.
        size: edge in pixels of the clips given.

    Attributes:
        shape: of one clip as given.
        dtype: of the clips.
    """

    def __init__(self, files: Mapping[str, Sequence[PathLike]], frames: int, stored_size: int, size: int) -> None:
        self._versions: dict[str, list[tuple[ArrayReader, int]]] = {}
        self._boxes: dict[str, Array] = {}
        for path, index in zip(files["clips"], files["index"], strict=True):
            reader = ArrayReader(path)
            for row in read_table(index, ["id", "row", "clips_box"]).to_pylist():
                if row["row"] is not None:
                    self._versions[row["id"]] = [(reader, row["row"])]
                    self._boxes[row["id"]] = scale_box(row["clips_box"], stored_size, size)
        for path, index in zip(files["augmented"], files["augmented_index"], strict=True):
            reader = ArrayReader(path)
            for row in read_table(index, ["id", "row"]).to_pylist():
                self._versions[row["id"]].append((reader, row["row"]))
        first = ArrayReader(files["clips"][0])
        self._frames = [(2 * i + 1) * first.shape[1] // (2 * frames) for i in range(frames)]
        self.shape = (frames, *first.shape[2:])
        self.dtype = first.dtype

    def versions(self, video_id: str) -> int:
        """How many versions of a video there are: itself and its copies."""
        return len(self._versions[video_id])

    def gather(self, ids: Sequence[str], versions: Iterable[int] | None = None) -> Array:
        """Read clips.

        Args:
            ids: of the videos.
            versions: which version of each, 0 being the video itself; by default all 0.

        Returns:
            Array of (ids, *shape).
        """
        clips = np.empty((len(ids), *self.shape), self.dtype)
        for clip, video, version in zip(clips, ids, [0] * len(ids) if versions is None else versions, strict=True):
            reader, row = self._versions[video][version]
            reader.read(row, self._frames, clip)
        return clips

    def boxes(self, ids: Sequence[str]) -> Array:
        """Where the content of each clip lies, int64 (ids, 4): top, left, height, width in pixels."""
        return np.array([self._boxes[video] for video in ids], np.int64).reshape(-1, 4)


def scale_box(box: Sequence[int], stored_size: int, size: int) -> Array:
    """The whole pixels inside a box after scaling, at least one; int64 (4,).

    >>> scale_box([14, 0, 84, 112], 112, 64).tolist()
    [8, 0, 48, 64]
    """
    top, left, height, width = box
    first = [-(-edge * size // stored_size) for edge in (top, left)]
    last = [(edge * size) // stored_size for edge in (top + height, left + width)]
    first = [min(f, size - 1) for f in first]
    return np.array([*first, *(max(1, end - f) for f, end in zip(first, last, strict=True))], np.int64)
