"""Search a block of videos for near duplicates among all videos: a job of a cluster has a block, or a job has all."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Self

import cv2
import numpy as np
import pyarrow as pa

from clipfold.leakage import pairs
from clipfold.leakage.alignment import LEAST_SHARE, THRESHOLD, Tiles, align, is_still, same_action, same_share
from clipfold.leakage.candidates import (
    BACKGROUNDS_AT_ONCE,
    CANDIDATE,
    FRAMES_AT_ONCE,
    NEAR,
    VIDEOS,
    WINDOWS_AT_ONCE,
    Backgrounds,
    Frames,
    common_frames,
)
from clipfold.leakage.hashes import WINDOWS
from clipfold.leakage.pairs import Pair, Pairs
from clipfold.leakage.parts import Parts
from clipfold.leakage.thumbnails import Thumbnails
from clipfold.storage.files import Array

logger = logging.getLogger(__name__)


def blocks_of(videos: int, number: int) -> list[range]:
    """Divide videos into blocks, whose first videos are multiples of `VIDEOS`.

    >>> blocks_of(200, 2)
    [range(0, 128), range(128, 200)]
    """
    steps = -(-videos // VIDEOS)
    starts = [min(videos, VIDEOS * -(-steps * i // number)) for i in range(number + 1)]
    return [range(first, last) for first, last in pairwise(starts)]


class Search:
    """A search for near duplicates.

    Args:
        whole: hashes of the whole backgrounds of all videos, uint64 (videos,).
        windows_of: function from a range of videos to the hashes of their windows, uint64 (videos, windows).
        frames: hashes of the frames of all videos, uint64 (videos, frames).
        pictures_of: function from the number of a video to its pictures, `uint8` (1 + frames, size, size).
        parts: search by keypoints; None to search by hashes alone.
        threads: CPU threads to use.
    """

    def __init__(
        self,
        whole: Array,
        windows_of: Callable[[range], Array],
        frames: Array,
        pictures_of: Callable[[int], Array],
        parts: Parts | None = None,
        threads: int = 1,
    ) -> None:
        self._whole, self._windows_of, self._frames = whole, windows_of, frames
        self._pictures_of, self._parts, self._threads = pictures_of, parts, threads
        self._still = lru_cache(1 << 20)(lambda video: is_still(pictures_of(video)))
        cv2.setNumThreads(1)

    @property
    def videos(self) -> int:
        """Number of videos."""
        return len(self._whole)

    def backgrounds(self, block: range) -> pa.Table:
        """Compare the backgrounds of a block with those of all videos; return a table of `FOUND`."""
        ours = _Seen(self._pictures_of, block)
        near = Backgrounds(self._whole, self._windows_of(block), block.start)

        def look(windows: Sequence[Array], start: int) -> list[Array]:
            theirs = _Seen(self._pictures_of, range(start, min(start + BACKGROUNDS_AT_ONCE, self.videos)))
            parts = list(near.near(start, windows))
            candidates = np.concatenate([np.zeros(0, CANDIDATE), *parts])
            kept = ours.likely(candidates, theirs)
            ends = np.cumsum([len(part) for part in parts])
            return [part[some] for part, some in zip(parts, np.split(kept, ends), strict=False)]

        found: list[list[Array]] = []
        for first in range(0, self.videos if block else 0, WINDOWS_AT_ONCE):
            windows = near.windows(first, partial(self._spread, "windows"))
            starts = range(first, min(first + WINDOWS_AT_ONCE, self.videos), BACKGROUNDS_AT_ONCE)
            found += self._spread("backgrounds", partial(look, windows), starts)
        return self._verified(found)

    def parts(self, block: range, backgrounds: pa.Table) -> pa.Table:
        """Find the videos that show parts of those of a block; return a table of `FOUND`.

        Args:
            block: numbers of the videos.
            backgrounds: result of `backgrounds` for the same block; the pairs that it verified are not sought again.
        """
        known = defaultdict[int, set[int]](set)
        sure = backgrounds.filter(backgrounds["change"].is_valid())
        for x, y in zip(sure["x"].to_pylist(), sure["y"].to_pylist(), strict=True):
            known[min(x, y)].add(max(x, y))

        def look(video: int) -> list[Pair]:
            return self._parts.pairs(video, known.get(video, ())) if self._parts else []

        return pairs.table_of(pair for some in self._spread("parts", look, block) for pair in some)

    def frames(self, block: range, common: Array, known: Pairs) -> pa.Table:
        """Compare the frames of a block with those of later videos; return a table of `FOUND`.

        Args:
            block: numbers of the videos.
            common: result of `common_frames`.
            known: pairs found by backgrounds and parts.
        """
        groups = [range(first, min(first + VIDEOS, block.stop)) for first in block[::VIDEOS]]
        found = []
        for start in range(block.start // FRAMES_AT_ONCE * FRAMES_AT_ONCE, self.videos, FRAMES_AT_ONCE):
            near = Frames(self._frames, common, start)
            found.append(list(self._spread("frames", near.near, groups)))
        return self._verified(found, known)

    def common(self, known: Pairs) -> Array:
        """Find the frames that tell nothing, see `common_frames`."""
        return common_frames(self._frames, known.recordings())

    def decide(self, tables: Iterable[pa.Table], known: Pairs) -> None:
        """Add the pairs of tables of `FOUND`, which are those of all blocks in order."""
        for found in tables:
            candidates = pairs.candidates_of(found)
            sure = np.flatnonzero(found["change"].is_valid().to_numpy())
            rows = dict(zip(sure.tolist(), found.take(sure).select(pairs.PAIR).to_pylist(), strict=True))
            known.decide(candidates, partial(self._known, candidates, rows))

    def _verified(self, found: Sequence[Sequence[Array]], known: Pairs | None = None) -> pa.Table:
        """Verify candidates, found among each part of the other videos for each group of ours, in the order of ours."""
        candidates = np.concatenate(
            [np.zeros(0, CANDIDATE), *(part for ours in zip(*found, strict=True) for part in ours)]
        )
        own = Pairs(self.videos, known.all() if known else [])
        candidates = candidates[own.open(candidates["x"], candidates["y"])]
        return pairs.table(candidates, *own.decide(candidates, lambda number: self._verify(candidates[number])))

    def _known(self, candidates: Array, rows: Mapping[int, Pair], number: int) -> Pair | None:
        return rows.get(number) or self._verify(candidates[number])

    def _verify(self, candidate: Array) -> Pair | None:
        x, y = candidate["x"].item(), candidate["y"].item()
        pictures = self._pictures_of(x), self._pictures_of(y)
        return verified(candidate, *pictures, lambda: self._still(x) and self._still(y))

    def _spread(self, stage: str, look: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        with ThreadPoolExecutor(self._threads) as pool:
            for number, found in enumerate(pool.map(look, items), 1):
                yield found
                if number % 100 == 0 or number == len(items):
                    logger.info("%s: %d of %d", stage, number, len(items))


class _Seen:
    """The backgrounds of some videos, by which most candidates that are near by chance are dropped, many at once."""

    def __init__(self, pictures_of: Callable[[int], Array], videos: range) -> None:
        backgrounds = [pictures_of(video)[0] for video in videos]
        self._first, self._tiles, self._thumbnails = videos.start, Tiles(backgrounds), Thumbnails(backgrounds)

    def likely(self, candidates: Array, others: Self) -> Array:
        """Return True for the candidates that are worth verifying, bool (candidates,)."""
        x, y = (candidates[name].astype(np.int64) for name in ("x", "y"))
        x, y, window, mirrored = x - self._first, y - others._first, candidates["window"], candidates["mirrored"]
        kept = np.zeros(len(candidates), bool)
        near = np.flatnonzero(candidates["bits"] <= NEAR)
        kept[near] = self._thumbnails.may_match(x[near], others._thumbnails, y[near], window[near], mirrored[near])
        doubtful = np.flatnonzero(~kept & (window == 0) & ~mirrored)  # a background may be hidden in part
        doubtful = doubtful[np.argsort(x[doubtful], kind="stable")]
        videos, at = np.unique(x[doubtful], return_index=True)
        for video, rows in zip(videos.tolist(), np.split(doubtful, at[1:]), strict=False):
            kept[rows] = self._tiles.may_pass(video, others._tiles, y[rows], LEAST_SHARE)
        return kept


def verified(candidate: Array, x: Array, y: Array, still: Callable[[], bool]) -> Pair | None:
    """Compare the pictures of two videos; return the pair, or None if they are no near duplicates.

    Args:
        candidate: `CANDIDATE`.
        x: pictures of the first video, `uint8` (1 + frames, size, size).
        y: pictures of the second one, likewise.
        still: function that returns True if both cameras stand still.
    """
    facts = {name: candidate[name].item() for name in ("x", "y", "x_frame", "y_frame")}
    bits, window, mirrored = (candidate[name].item() for name in ("bits", "window", "mirrored"))
    if facts["x_frame"] >= 0:
        found = align(x[1 + facts["x_frame"]], y[1 + facts["y_frame"]], WINDOWS[0], mirrored=False)
        return facts | {"change": "cut", "score": found.score} if found.score >= THRESHOLD else None
    middle = (len(x) - 1) // 2
    facts |= {"x_frame": middle, "y_frame": middle}
    if bits <= NEAR:
        found = align(x[0], y[0], WINDOWS[window], mirrored=mirrored)
        if found.score >= THRESHOLD:
            kind = "copy" if same_action(x, y, found) else "background"
            how = ["mirrored"] * found.mirrored + ["cropped"] * found.cropped
            return facts | {"change": " ".join([*how, kind]), "score": found.score}
    if window or mirrored:
        return None
    share = same_share(x[0], y[0])
    if share < LEAST_SHARE or not still():
        return None
    return facts | {"change": "background", "score": share}
