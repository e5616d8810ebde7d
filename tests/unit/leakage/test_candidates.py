"""The fast search for near hashes yields what comparing each with each does, in the same order."""

import numpy as np
import pytest

from clipfold.leakage import candidates
from clipfold.leakage.candidates import NEAR, NEAR_FRAME, NEAR_WHOLE, Backgrounds, Frames, common_frames
from clipfold.leakage.hashes import MIRROR
from clipfold.leakage.near import Near

COUNT = 100
STARTS = range(0, COUNT, candidates.VIDEOS)


def alike(rng, shape, bases, most):
    """Hashes that differ from a few in up to `most` bits, some of them mirrored."""
    hashes = rng.integers(0, 2**64, bases, dtype=np.uint64)[rng.integers(0, bases, shape)]
    for _ in range(most):
        hashes = hashes ^ some(rng, np.uint64(1) << rng.integers(0, 64, shape, dtype=np.uint64), shape)
    return hashes ^ some(rng, MIRROR, shape)


def some(rng, values, shape):
    """The values or 0, as chance has it."""
    return np.where(rng.integers(0, 2, shape) == 1, values, np.uint64(0))


def apart(a, b):
    return (a ^ b).bit_count()


def every_background(backgrounds):
    """The candidates for each of `STARTS`, in the order in which they are told."""
    told = []
    for first in range(0, COUNT, candidates.WINDOWS_AT_ONCE):
        windows = backgrounds.windows(first)
        last = min(first + candidates.WINDOWS_AT_ONCE, COUNT)
        told += [list(backgrounds.near(start, windows)) for start in range(first, last, candidates.BACKGROUNDS_AT_ONCE)]
    return [[each for part in ours for each in part.tolist()] for ours in zip(*told, strict=True)]


def plain_backgrounds(hashes, first):
    hashes, mask = hashes.tolist(), int(MIRROR)
    for start in range(0, len(hashes), 32):
        best = {}
        for x in range(first, min(first + candidates.VIDEOS, len(hashes))):
            for window, asked in enumerate(hashes[x]):
                for mirrored in (False, True):
                    for y in range(start, min(start + 32, len(hashes))):
                        bits = apart(asked, hashes[y][0] ^ (mask if mirrored else 0))
                        whole = not window and not mirrored
                        near = x < y and bits <= NEAR_WHOLE if whole else x != y and bits <= NEAR
                        if near and ((x, y) not in best or bits < best[x, y][2]):
                            best[x, y] = (x, y, bits, mirrored, window, -1, -1)
        yield from best.values()


def plain_frames(frames, first, common):
    count, frames = frames.shape[1], frames.tolist()
    new = [[all(apart(f[i], f[j]) > NEAR_FRAME for j in range(i)) for i in range(count)] for f in frames]
    for start in range(first, len(frames), 32):
        for x in range(first, min(first + candidates.VIDEOS, len(frames))):
            for y in range(max(start, x + 1), min(start + 32, len(frames))):
                bits = {
                    (a, b): apart(frames[x][a], frames[y][b])
                    for a in range(count)
                    for b in range(count)
                    if not common[x, a] and not common[y, b]
                }
                near = [pair for pair, each in bits.items() if each <= NEAR_FRAME]
                ours, theirs = {a for a, _ in near}, {b for _, b in near}
                distinct = min(sum(new[x][a] for a in ours), sum(new[y][b] for b in theirs))
                if min(len(ours), len(theirs)) >= 3 and (distinct >= 3 or 2 * max(len(ours), len(theirs)) >= count):
                    a, b = min(near, key=lambda pair: (bits[pair], pair))
                    yield x, y, bits[a, b], False, 0, a, b


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(candidates, "BACKGROUNDS_AT_ONCE", 32)
    monkeypatch.setattr(candidates, "WINDOWS_AT_ONCE", 64)
    monkeypatch.setattr(candidates, "FRAMES_AT_ONCE", 64)


def test_backgrounds_are_those_that_a_plain_search_finds():
    hashes = alike(np.random.default_rng(0), (COUNT, 3), bases=30, most=18)
    found = every_background(Backgrounds(hashes[:, 0], hashes))
    assert found == [list(plain_backgrounds(hashes, first)) for first in STARTS]
    every = [each for block in found for each in block]
    assert {(mirrored, window) for _, _, _, mirrored, window, *_ in every} == {
        (m, w) for m in (False, True) for w in range(3)
    }
    assert max(bits for _, _, bits, *_ in every) == NEAR_WHOLE


@pytest.mark.parametrize("known", [1, 4])
def test_frames_are_those_that_a_plain_search_finds(known):
    rng = np.random.default_rng(1)
    # Three videos of each recording have some frames in common; some stand still; and all have a title.
    shown = rng.integers(0, 2**64, (-(-COUNT // 3), 8), dtype=np.uint64).repeat(3, axis=0)[:COUNT]
    frames = np.where(rng.random((COUNT, 8)) < 0.4, rng.integers(0, 2**64, (COUNT, 8), dtype=np.uint64), shown)
    for _ in range(5):
        frames ^= some(rng, np.uint64(1) << rng.integers(0, 64, frames.shape, dtype=np.uint64), frames.shape)
    frames[::5, 4:] = frames[::5, 4:5]
    frames[:, 0] = shown[0, 0]
    common = common_frames(frames, np.arange(COUNT) // known * known)
    groups = [range(first, min(first + candidates.VIDEOS, COUNT)) for first in STARTS]
    parts = [Frames(frames, common, start) for start in range(0, COUNT, 64)]
    found = [[each for part in parts for each in part.near(group).tolist()] for group in groups]
    assert found == [list(plain_frames(frames, first, common)) for first in STARTS]
    assert 10 < sum(map(len, found)) < COUNT
    assert common[:, 0].all()


def test_a_common_frame_is_near_to_more_than_four_other_recordings():
    rng = np.random.default_rng(2)
    frames = alike(rng, (40, 4), bases=8, most=4)
    recording, known = np.arange(40) // 2 * 2, frames.tolist()
    near = [
        [
            len({r for r in recording if r != recording[x] and any(apart(f, g) <= NEAR_FRAME for g in known[r])})
            for f in known[x]
        ]
        for x in range(40)
    ]
    expected = np.array(near) > 4
    assert (common_frames(frames, recording) == expected).all()
    assert 0 < expected.sum() < expected.size


def test_nothing_is_near_to_nothing():
    none = np.zeros(0, np.uint64)
    one = np.zeros(1, np.uint64)
    assert [len(Near(a, 63).find(b).row) for a, b in ((none, one), (one, none), (one, one))] == [0, 0, 1]


@pytest.mark.parametrize("most", [0, 14, 63])
def test_the_limit_is_inclusive(most):
    hashes = (np.uint64(1) << np.arange(64, dtype=np.uint64)) - np.uint64(1)  # 0 to 63 bits
    found = Near(hashes, most).find(np.zeros(1, np.uint64))
    assert sorted(found.row.tolist()) == sorted(found.bits.tolist()) == list(range(most + 1))


@pytest.mark.parametrize("most", [3, 10, 14])
def test_among_many_hashes_each_near_one_is_found_once(most):
    rng = np.random.default_rng(most)
    hashes = rng.integers(0, 2**64, 20_000, dtype=np.uint64)
    near = Near(hashes, most)
    assert near._chunks  # they are looked up, not all compared
    asked = hashes[:500].copy()
    for _ in range(2 * most):  # half of these bits change: some are nearer than the bound, and some are farther
        asked ^= some(rng, np.uint64(1) << rng.integers(0, 64, 500, dtype=np.uint64), 500)
    bits = np.bitwise_count(asked[:, None] ^ hashes)
    found = near.find(asked)
    pairs = np.stack([found.asked, found.row], axis=1)
    assert sorted(pairs.tolist()) == np.argwhere(bits <= most).tolist()
    assert (found.bits == bits[found.asked, found.row]).all()
    assert 100 < (bits.diagonal() <= most).sum() < 500
