"""Find pairs of videos of which one shows part of the other's picture: cropped, turned, negative, within another."""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from clipfold.leakage.keypoint_index import Index
from clipfold.leakage.keypoints import BACKGROUND, CHANGES, changed, picture
from clipfold.leakage.placement import compare, place, shared_frames
from clipfold.leakage.votes import Ballot, vote
from clipfold.storage.files import Array

_LEAST_SHARE = 0.5  # of the frames of one video, where no still background is common: less may be a title or an advert


class Parts:
    """A search for parts among all videos.

    Args:
        shards: arrays of `keypoints.KEYPOINT`, sorted by row.
        videos: number of videos of each shard.
        index: index of these keypoints.
        frames_of: function from the number of a video to its grey frames, `uint8` (frames, height, width).
    """

    def __init__(
        self, shards: Sequence[Array], videos: Sequence[int], index: Index, frames_of: Callable[[int], Array]
    ) -> None:
        self._first = np.cumsum([0, *videos])
        self._shards = shards
        self._starts = lru_cache(None)(
            lambda shard: np.searchsorted(shards[shard]["video"], np.arange(videos[shard] + 1))
        )
        self._frames_of = lru_cache(256)(frames_of)
        self._picture_of = lru_cache(256)(lambda video, change, number: picture(self._changed(video, change), number))
        self._index = index

    def pairs(self, video: int, known: Collection[int] = ()) -> list[dict[str, Any]]:
        """Return the verified pairs of a video with later ones, as in `matches.find_pairs`.

        Args:
            video: its number.
            known: videos that are known to be pairs of it, which are left out.
        """
        own = self._keypoints(video)
        if not len(own):
            return []
        frames = self._frames_of(video)
        height, width = frames.shape[1:]
        middle = (width - 1) / 2, (height - 1) / 2
        asked = [changed(own, width, change) for change in range(len(CHANGES))]
        placed: dict[int, tuple[int, Ballot, Array]] = {}
        for ballot in vote(self._index, asked, video, middle):
            if ballot.video in known:
                continue
            one, other = asked[ballot.change], self._keypoints(ballot.video)
            found = place(one[one["picture"] == ballot.picture], other[other["picture"] == ballot.other])
            if found and found[1] > placed.get(ballot.video, (0,))[0]:
                placed[ballot.video] = found[1], ballot, found[0]
        verified = (self._verified(video, *facts) for facts in placed.values())
        return [pair for pair in verified if pair]

    def _keypoints(self, video: int) -> Array:
        shard = int(np.searchsorted(self._first, video, side="right")) - 1
        start, end = self._starts(shard)[video - self._first[shard] :][:2]
        return np.asarray(self._shards[shard][start:end])

    def _changed(self, video: int, change: int) -> Array:
        """Return the frames of a video after one of `CHANGES`."""
        mirrored, negative = CHANGES[change]
        frames = self._frames_of(video)
        frames = frames[:, :, ::-1] if mirrored else frames
        return np.ascontiguousarray(255 - frames if negative else frames)

    def _verified(self, video: int, keypoints: int, ballot: Ballot, matrix: Array) -> dict[str, Any] | None:
        mirrored, negative = CHANGES[ballot.change]
        shown = self._picture_of(video, ballot.change, ballot.picture), self._picture_of(ballot.video, 0, ballot.other)
        found = compare(*shown, matrix, keypoints)
        if found is None or not found.sure:
            return None
        x, y = self._changed(video, ballot.change), self._frames_of(ballot.video)
        still = BACKGROUND in (ballot.picture, ballot.other)
        if not still and shared_frames(x, y, found.matrix) < _LEAST_SHARE:
            return None
        how = (
            ["mirrored"] * mirrored + ["negative"] * negative + ["turned"] * found.turned + ["cropped"] * found.cropped
        )
        x_frame, y_frame = (
            len(frames) // 2 if number == BACKGROUND else number
            for frames, number in ((x, ballot.picture), (y, ballot.other))
        )
        return {"x": video, "y": ballot.video, "x_frame": x_frame, "y_frame": y_frame} | {
            "change": " ".join([*how, "background" if still else "cut"]),
            "score": found.score,
        }
