"""Decide which candidates become pairs: in one order, whoever found them, so that blocks of videos change no result."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from clipfold.leakage.candidates import CANDIDATE
from clipfold.leakage.disjoint_sets import DisjointSets
from clipfold.storage.files import Array

MOST = 50
"""Partners of a video after which a further pair is verified only if it would join two clusters."""

FOUND = pa.schema(
    {
        # columns of `candidates.CANDIDATE`; of a pair, the frames to show
        "x": pa.uint32(),
        "y": pa.uint32(),
        "bits": pa.uint8(),
        "mirrored": pa.bool_(),
        "window": pa.uint8(),
        "x_frame": pa.int16(),
        "y_frame": pa.int16(),
        # see `matches.SCHEMA`; null if the candidate is yet to be verified
        "change": pa.string(),
        "score": pa.float64(),
    }
)

PAIR = ["x", "y", "change", "score", "x_frame", "y_frame"]
"""Columns of a pair."""

_AT_ONCE = 50_000  # candidates

Pair = dict[str, Any]
"""A verified pair of videos: `x`, `y`, `change`, `score`, `x_frame` and `y_frame`, as in `FOUND`."""


class Pairs:
    """The pairs found so far.

    Clusters and numbers of partners only grow. So what they settle stays settled, and a candidate that is settled by
    the pairs of a block may have to be decided among all, but none that is rejected by its pictures.

    Args:
        videos: number of videos.
        known: pairs to begin with.
    """

    def __init__(self, videos: int, known: Iterable[Pair] = ()) -> None:
        self._clusters, self._partners = DisjointSets(videos), np.zeros(videos, np.int64)
        self._found: dict[tuple[int, int], Pair] = {}
        for pair in known:
            self.add(pair)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, pair: Pair) -> None:
        """Add a pair, unless it is known."""
        x, y = pair["x"], pair["y"]
        if not self.has(x, y):
            self._found[min(x, y), max(x, y)] = pair
            self._clusters.join(x, y)
            self._partners[[x, y]] += 1

    def has(self, x: int, y: int) -> bool:
        """Return True if two videos are a pair."""
        return (min(x, y), max(x, y)) in self._found

    def settled(self, x: int, y: int) -> bool:
        """Return True if two videos are in one cluster, and one has enough partners."""
        return self._clusters.find(x) == self._clusters.find(y) and max(self._partners[[x, y]]) >= MOST

    def open(self, x: Array, y: Array) -> Array:
        """Return False for the pairs of videos that are settled, bool (pairs,)."""
        full = np.flatnonzero(np.maximum(self._partners[x], self._partners[y]) >= MOST)
        videos, place = np.unique(np.stack([x[full], y[full]]), return_inverse=True)
        clusters = np.array([self._clusters.find(video) for video in videos.tolist()], np.int64)[place.reshape(2, -1)]
        still_open = np.ones(len(x), bool)
        still_open[full[clusters[0] == clusters[1]]] = False
        return still_open

    def recordings(self) -> list[int]:
        """Return the first video of each video's cluster."""
        return [self._clusters.find(video) for video in range(len(self._partners))]

    def all(self) -> list[Pair]:
        """Return the pairs in the order in which they were found."""
        return list(self._found.values())

    def decide(self, candidates: Array, verify: Callable[[int], Pair | None]) -> tuple[Array, dict[int, Pair]]:
        """Add the candidates that are pairs, but for settled ones.

        Args:
            candidates: `CANDIDATE` (candidates,).
            verify: function from the number of a candidate to its pair, or None if it is none.

        Returns:
            The numbers of the candidates that are pairs, or settled, ascending; and the pairs that were verified.
        """
        kept, verified = np.ones(len(candidates), bool), {}
        for start in range(0, len(candidates), _AT_ONCE):
            part = candidates[start : start + _AT_ONCE]
            for number in (start + np.flatnonzero(self.open(part["x"], part["y"]))).tolist():
                x, y = candidates["x"][number].item(), candidates["y"][number].item()
                if self.has(x, y):
                    kept[number] = False
                elif not self.settled(x, y):
                    if pair := verify(number):
                        self.add(pair)
                        verified[number] = pair
                    else:
                        kept[number] = False
        return np.flatnonzero(kept), verified


def table(candidates: Array, kept: Array, verified: dict[int, Pair]) -> pa.Table:
    """Make a table of `FOUND` from what `Pairs.decide` returns."""
    columns = {name: candidates[name][kept] for name in CANDIDATE.names or ()}
    at = np.searchsorted(kept, np.array(list(verified), np.int64))
    for name in ("x_frame", "y_frame"):
        columns[name][at] = [pair[name] for pair in verified.values()]
    change, score = np.full(len(kept), None), np.zeros(len(kept))
    change[at], score[at] = ([pair[name] for pair in verified.values()] for name in ("change", "score"))
    columns |= {"change": change, "score": pa.array(score, mask=np.isin(np.arange(len(kept)), at, invert=True))}
    return pa.table(columns, FOUND)


def table_of(verified: Iterable[Pair]) -> pa.Table:
    """Make a table of `FOUND` from pairs that no hashes led to."""
    return pa.Table.from_pylist([{"bits": 0, "mirrored": False, "window": 0} | pair for pair in verified], FOUND)


def candidates_of(found: pa.Table) -> Array:
    """Return the candidates of a table of `FOUND`, `CANDIDATE` (candidates,)."""
    candidates = np.zeros(len(found), CANDIDATE)
    for name in CANDIDATE.names or ():
        candidates[name] = found[name].to_numpy()
    return candidates
