"""Find the videos that have keypoints in common, without comparing each with each.

Similar keypoints vote for the pictures that they are in, if they agree on the angle, the scale and the shift between
the two (Lowe 2004; Jégou, Douze & Schmid 2008).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from clipfold.leakage.keypoint_index import Index, places
from clipfold.leakage.keypoints import CHANGES
from clipfold.storage.files import Array

PARTNERS = 60
"""Most videos to verify for each, those with most votes."""

_PICTURES = 2  # pairs of pictures to verify for each pair of videos

_LEAST = 4  # votes
_ANGLE, _OCTAVES, _SHIFT = 22.5, 0.5, 16.0  # half the size of a bin: degrees, octaves, pixels
_ANGLES = round(360 / _ANGLE)
_NEIGHBOURS = list(product((0, 1), repeat=2))  # each bin overlaps its neighbours by half


class Ballot(NamedTuple):
    """Votes for a picture of another video."""

    votes: int
    video: int
    picture: int
    """Picture of the video that was asked about."""
    other: int
    """Picture of the other video."""
    change: int
    """Index into `keypoints.CHANGES`: what was done to the first picture."""


def vote(index: Index, changed: Sequence[Array], video: int, middle: tuple[float, float]) -> list[Ballot]:
    """Find the pictures of later videos that share keypoints with those of a video.

    Args:
        index: index of the keypoints of all videos.
        changed: keypoints of the video, after each of `CHANGES`.
        video: its number.
        middle: x and y of the middle of its pictures.

    Returns:
        The ballots, most votes first: at most 2 for each of `PARTNERS` videos.
    """
    asked, number, y, change = index.similar(changed[0], video)
    pair = (y["video"].astype(np.int64) * 256 + y["picture"] + 1) * 256 + changed[0]["picture"][asked] + 1
    pair = pair * len(CHANGES) + change
    pairs, pair, counts = np.unique(pair, return_inverse=True, return_counts=True)
    often = counts[pair] >= _LEAST
    asked, number, y, pair, change = (each.compress(often) for each in (asked, number, y, pair, change))
    if not len(pair):
        return []
    x = np.stack([places(each, 0) for each in changed])[change, asked]
    turn, octaves = y["angle"].astype(np.float32) - x["angle"], y["octave"].astype(np.float32) - x["octave"]
    from_middle = x["x"] - middle[0] + 1j * (x["y"] - middle[1])
    to = y["x"] + 1j * y["y"] - 2.0**octaves * np.exp(1j * np.deg2rad(turn)) * from_middle
    angle, scale, across, down = (
        np.clip(np.floor(each), -120, 120).astype(np.int64)
        for each in (turn % 360 / _ANGLE, octaves / _OCTAVES, to.real / _SHIFT, to.imag / _SHIFT)
    )
    turned = [(pair * _ANGLES + (angle - a) % _ANGLES << 8) + scale - b + 128 for a, b in _NEIGHBOURS]
    kept = _crowded(np.concatenate(turned)).reshape(4, -1).any(axis=0)
    shifted = [((across[kept] - c + 128) << 8) + down[kept] - d + 128 for c, d in _NEIGHBOURS]
    bins = np.concatenate([(each[kept] << 16) + shift for each in turned for shift in shifted])
    full = np.flatnonzero(_crowded(bins))
    if not len(full):
        return []
    bins, match = bins[full], np.flatnonzero(kept)[full % kept.sum()]
    names, one = _distinct(bins, asked[match])
    _, other = _distinct(bins, number[match])
    best = np.zeros(len(pairs), np.int64)
    np.maximum.at(best, (names >> 24) // _ANGLES, np.minimum(one, other))
    most = np.argsort(-best, kind="stable")
    return strongest(_ballot(int(best[i]), int(pairs[i])) for i in most[best[most] >= _LEAST])


def strongest(ballots: Iterable[Ballot]) -> list[Ballot]:
    """Return the first 2 ballots for each of the first `PARTNERS` videos."""
    seen: Counter[int] = Counter()
    kept = []
    for ballot in ballots:
        if seen[ballot.video] < _PICTURES and (ballot.video in seen or len(seen) < PARTNERS):
            seen[ballot.video] += 1
            kept.append(ballot)
    return kept


def _ballot(votes: int, pair: int) -> Ballot:
    pair, change = divmod(pair, len(CHANGES))
    return Ballot(votes, pair >> 16, (pair & 255) - 1, (pair >> 8 & 255) - 1, change)


def _crowded(bins: Array) -> Array:
    """Return True for each entry whose bin may hold `_LEAST`: a quick count, in which a few bins share a place."""
    bits = max(8, len(bins).bit_length())
    place = (bins.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
    return np.asarray(np.bincount(place.astype(np.int64), minlength=1 << bits)[place] >= _LEAST)


def _distinct(bins: Array, values: Array) -> tuple[Array, Array]:
    """Return the bins, ascending, and the number of distinct values in each."""
    order = np.lexsort((values, bins))
    bins, values = bins[order], values[order]
    new = np.append(True, (bins[1:] != bins[:-1]) | (values[1:] != values[:-1]))
    names, counts = np.unique(bins[new], return_counts=True)
    return names, counts
