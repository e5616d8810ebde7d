"""Draw the parameters of augmented copies from a seed, and make the copies from the clips that they change."""

import json
import logging
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from clipfold.clips.operations import Drawn, apply, draw_operation
from clipfold.clips.resize import resize_clip
from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array, read_table, write_table
from clipfold.storage.hashing import stable_hash

logger = logging.getLogger(__name__)

SCHEMA = pa.schema({"id": pa.string(), "copy": pa.int16(), "row": pa.int32(), "drawn": pa.string()})


def draw(operations: Mapping[str, Mapping[str, float]], seed: int, video_id: str, copy: int) -> Drawn:
    """Draw the parameters of one augmented copy: the same on any machine, in any order, in any fold.

    Every operation has random numbers of its own: adding or leaving out one changes nothing of the others.

    Args:
        operations: Name -> probability and limits, see `clipfold.clips.presets.resolve`.
        seed: Seed of the run.
        video_id: Id of the video.
        copy: Number of the augmented copy, from 0.
    """
    found = []
    for name, most in operations.items():
        random = np.random.default_rng(stable_hash(f"{seed}/{video_id}/{copy}/{name}", digest_size=16))
        arguments = draw_operation(name, most, random)
        if arguments is not None:
            found.append((name, arguments))
    return found


def draw_shard(
    index: PathLike, output: PathLike, operations: Mapping[str, Mapping[str, float]], copies: int, seed: int
) -> None:
    """Write what is drawn for the augmented copies of a shard's usable videos.

    Args:
        index: Index of the clips, with `id` and `row`.
        output: Table of `SCHEMA`; augmented copy k of the video in row r has row r * copies + k, and the parameters are
            JSON, from which the copy can be made again byte for byte.
        operations: As for `draw`.
        copies: Augmented copies per video.
        seed: Seed of the run.
    """
    usable = [row for row in read_table(index, ["id", "row"]).to_pylist() if row["row"] is not None]
    rows = [
        {
            "id": video["id"],
            "copy": copy,
            "row": video["row"] * copies + copy,
            "drawn": json.dumps(draw(operations, seed, video["id"], copy), separators=(",", ":")),
        }
        for video in sorted(usable, key=lambda video: video["row"])
        for copy in range(copies)
    ]
    write_table(output, rows, SCHEMA)
    logger.info("%d augmented copies of %d videos", len(rows), len(usable))


class Copies:
    """The augmented copies of a shard, made when they are read; like an array of them.

    Args:
        clips: Array of the clips as decoded, `uint8` (videos, frames, edge, edge, 3).
        index: Index of the clips, with `id`, `row` and `clips_box`.
        drawn: Table of `draw_shard`.
        size: Edge in pixels of the copies, which are resized after they were changed.
        number: Clips of a video, which follow each other; each of them changes by itself.

    Attributes:
        shape: Shape of the array, (copies, frames, size, size, 3).
    """

    def __init__(self, clips: PathLike, index: PathLike, drawn: PathLike, size: int, number: int = 1) -> None:
        self._clips = open_array(clips)
        self._videos = {row["id"]: row for row in read_table(index, ["id", "row", "clips_box"]).to_pylist()}
        self._rows = read_table(drawn, ["id", "drawn"]).to_pylist()
        self._number = number
        self.shape = (len(self._rows), self._clips.shape[1], size, size, 3)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice) -> Array:
        return np.array([self._make(**row) for row in self._rows[rows]], np.uint8).reshape(-1, *self.shape[1:])

    def __iter__(self) -> Iterator[Array]:
        return (self._make(**row) for row in self._rows)

    def _make(self, id: str, drawn: str) -> Array:
        video = self._videos[id]
        each = np.split(self._clips[video["row"]], self._number)
        copy = [apply(clip, video["clips_box"], json.loads(drawn)) for clip in each]
        return resize_clip(np.concatenate(copy), self.shape[2])


def store_copies(copies: Copies, output: PathLike) -> None:
    """Write the augmented copies of a shard as an array, with one in memory at a time."""
    with ArrayWriter(output, copies.shape[1:], np.uint8) as writer:
        for copy in copies:
            writer.append(copy)
    logger.info("stored %d augmented copies", len(copies))
