"""Read stored clips of many shards as one collection, loading only the requested clips."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clipfold.storage.files import Array, ArrayReader, PathLike, read_table
from clipfold.video.sampling import divided, of_clip

KEPT_BYTES = 128 * 2**20
"""Most memory for replayed copies: each is shown in many epochs, and those of a small data set are made once."""


@dataclass(frozen=True, slots=True)
class _Version:
    """The place of a stored version of a video; or the clip it is made from, its box, and as JSON what to change."""

    reader: ArrayReader
    row: int
    box: Sequence[int] = ()
    drawn: str = ""


class Clips:
    """Stored clips of videos and of their augmented copies, or embeddings of their frames.

    A video may have several clips, one after the other in the arrays; each is a version of its own.

    Args:
        files: `clips`: arrays of the shards, (videos, frames, ...); `index`: their tables with `id`, `row` and the
            content box in pixels of the clip as decoded; `augmented_index`: tables of what was drawn for the augmented
            copies, with `id`, `row` and `drawn`; `augmented`: arrays of the copies. Without these, a copy is made when
            it is read, from the clips as decoded in the arrays `decoded`, and kept in memory while there is room.
        frames: Frames to read of each clip, evenly spaced.
        stored_size: Edge in pixels of the clips as decoded, which the boxes refer to.
        size: Edge in pixels of the clips in `files`.
        number: Clips of a video.

    Attributes:
        number: Clips of a video.
        shape: Shape of one clip as returned.
        dtype: Type of the values.
    """

    def __init__(
        self, files: Mapping[str, Sequence[PathLike]], frames: int, stored_size: int, size: int, number: int = 1
    ) -> None:
        self.number = number
        self._versions: dict[str, list[_Version]] = {}
        self._boxes: dict[str, Array] = {}
        self._made: dict[tuple[str, int], Array] = {}
        decoded: dict[str, _Version] = {}
        sources = files.get("decoded", files["clips"])
        for path, source, index in zip(files["clips"], sources, files["index"], strict=True):
            reader, whole = ArrayReader(path), ArrayReader(source)
            for row in read_table(index, ["id", "row", "clips_box"]).to_pylist():
                if row["row"] is not None:
                    self._versions[row["id"]] = [_Version(reader, row["row"])]
                    self._boxes[row["id"]] = scale_box(row["clips_box"], stored_size, size)
                    decoded[row["id"]] = _Version(whole, row["row"], row["clips_box"])
        if "augmented" in files:
            for path, index in zip(files["augmented"], files["augmented_index"], strict=True):
                reader = ArrayReader(path)
                for row in read_table(index, ["id", "row"]).to_pylist():
                    self._versions[row["id"]].append(_Version(reader, row["row"]))
        else:
            for row in read_table(files["augmented_index"], ["id", "drawn"]).to_pylist():
                self._versions[row["id"]].append(replace(decoded[row["id"]], drawn=row["drawn"]))
        first = ArrayReader(files["clips"][0])
        self._frames = [of_clip(first.shape[1], frames, number, clip) for clip in range(number)]
        self.shape = (frames, *first.shape[2:])
        self.dtype = first.dtype

    def versions(self, video_id: str) -> int:
        """Count the versions of a video: its clips and their augmented copies."""
        return len(self._versions[video_id]) * self.number

    def gather(self, ids: Sequence[str], versions: Iterable[int] | None = None) -> Array:
        """Read clips.

        Args:
            ids: Ids of the videos.
            versions: Version of each: first the video's own clips (the first by default), then those of each copy.

        Returns:
            Array of (ids, *shape).
        """
        clips = np.empty((len(ids), *self.shape), self.dtype)
        for clip, video, version in zip(clips, ids, [0] * len(ids) if versions is None else versions, strict=True):
            copy, part = divmod(int(version), self.number)
            found = self._versions[video][copy]
            if not found.drawn:
                found.reader.read(found.row, self._frames[part], clip)
                continue
            made = self._made.get((video, version))
            if made is None:
                made = self._replay(found, part)
                if (len(self._made) + 1) * made.nbytes <= KEPT_BYTES:
                    self._made[video, version] = made
            clip[...] = made
        return clips

    def _replay(self, version: _Version, part: int) -> Array:
        """Make an augmented copy of one of the clips."""
        from clipfold.clips.operations import apply  # OpenCV: only for these
        from clipfold.clips.resize import resize_clip

        whole = divided(version.reader.shape[1], self.number)[part]
        clip = np.empty((len(whole), *version.reader.shape[2:]), self.dtype)
        version.reader.read(version.row, whole, clip)
        taken = [frame - whole.start for frame in self._frames[part]]
        return resize_clip(apply(clip, version.box, json.loads(version.drawn))[taken], self.shape[1])

    def boxes(self, ids: Sequence[str]) -> Array:
        """Return the content box of each clip, int64 (ids, 4): top, left, height, width in pixels."""
        return np.array([self._boxes[video] for video in ids], np.int64).reshape(-1, 4)


def scale_box(box: Sequence[int], stored_size: int, size: int) -> Array:
    """Convert a box to a resized clip: the pixels wholly inside it, at least one; int64 (4,).

    >>> scale_box([14, 0, 84, 112], 112, 64).tolist()
    [8, 0, 48, 64]
    """
    top, left, height, width = box
    first = [-(-edge * size // stored_size) for edge in (top, left)]
    last = [(edge * size) // stored_size for edge in (top + height, left + width)]
    first = [min(f, size - 1) for f in first]
    return np.array([*first, *(max(1, end - f) for f, end in zip(first, last, strict=True))], np.int64)
