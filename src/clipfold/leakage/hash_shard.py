"""Hash the videos of a shard and find their keypoints: what the search for near duplicates needs of each."""

import logging
from pathlib import Path

import numpy as np

from clipfold.leakage.hashes import FRAMES, SIZE, WINDOWS, content, hash_video
from clipfold.leakage.keypoints import KEYPOINT, fitted, keypoints_of
from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array, read_table
from clipfold.storage.replace import replacing

logger = logging.getLogger(__name__)


def box_column(clips: PathLike) -> str:
    """Return the column of the index that holds the content boxes of a view, given its file."""
    return f"{Path(clips).stem}_box"


class Shard:
    """Frames of a stored view of a shard, without padding.

    Args:
        clips: `uint8` (videos, frames, size, size, 3), in a file with the name of the view.
        index: index of the shard.
    """

    def __init__(self, clips: PathLike, index: PathLike) -> None:
        self._stored = open_array(clips)
        stored = self._stored.shape[1]
        self.count = min(FRAMES, stored)
        self._taken = [i * stored // self.count for i in range(self.count)]
        box = box_column(clips)
        rows = read_table(index, ["row", box])
        stored_rows = rows.filter(rows["row"].is_valid())
        self._boxes = np.zeros((len(self._stored), 4), np.int16)
        self._boxes[stored_rows["row"].to_numpy()] = stored_rows[box].to_pylist()

    def __len__(self) -> int:
        return len(self._stored)

    def frames(self, row: int) -> Array:
        """Return at most `FRAMES` evenly spaced frames, `uint8` (frames, height, width, 3)."""
        top, left, height, width = self._boxes[row]
        return np.asarray(self._stored[row][self._taken, top : top + height, left : left + width])

    def grey(self, row: int) -> Array:
        """Return the same frames, grey and without bars, in the size in which keypoints are searched."""
        return fitted(content(self.frames(row)))


def hash_shard(clips: PathLike, index: PathLike, hashes: PathLike, pictures: PathLike, keypoints: PathLike) -> None:
    """Hash the videos of a shard and find their keypoints.

    Args:
        clips: a stored view of whole frames, as of `Shard`.
        index: index of the shard.
        hashes: output array of the hashes from `hashes.hash_video`, one row per row of `clips`.
        pictures: output array of the pictures from `hashes.hash_video`, one row per row of `clips`.
        keypoints: output array of the keypoints of all rows, `keypoints.KEYPOINT` (keypoints,), sorted by row.
    """
    shard = Shard(clips, index)
    found = [np.zeros(0, KEYPOINT)]
    with (
        ArrayWriter(hashes, (len(WINDOWS) + shard.count,), np.uint64) as hash_rows,
        ArrayWriter(pictures, (1 + shard.count, SIZE, SIZE), np.uint8) as picture_rows,
    ):
        for row in range(len(shard)):
            own, kept = hash_video(shard.frames(row))
            hash_rows.append(own)
            picture_rows.append(kept)
            found.append(keypoints_of(shard.grey(row), row))
            if (row + 1) % 100 == 0:
                logger.info("hashes: %d of %d videos", row + 1, len(shard))
    together = np.concatenate(found)
    with replacing(keypoints) as file:
        np.save(file, together, allow_pickle=False)
    logger.info("%d hashes for each of %d videos, %d keypoints", len(WINDOWS) + shard.count, len(shard), len(together))
