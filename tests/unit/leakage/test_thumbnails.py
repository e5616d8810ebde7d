"""Test that thumbnails tell pictures that are alike by chance from those that show the same, on procedural films."""

import cv2
import numpy as np
import pytest

from clipfold.demo.disguises import DISGUISES
from clipfold.demo.near_duplicates import CHANGES, Recording
from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage.alignment import THRESHOLD, align
from clipfold.leakage.candidates import NEAR, Backgrounds
from clipfold.leakage.hashes import WINDOWS, hash_video
from clipfold.leakage.thumbnails import Thumbnails

SOURCES = 12


@pytest.fixture(scope="module")
def near():
    """Pictures of films and of changed copies, the sources of both, and the pairs that are near by a window."""
    backgrounds, hashes, sources = [], [], []
    for source in range(SOURCES):
        rng = np.random.default_rng(source)
        original = Recording(film(draw_scene(rng), rng, frames=8, size=(96, 128), fps=4), 4.0)
        kinds = ("mirrored and cropped", "cropped to 9:16", "shaky", "blurred fill", "captions and border")
        copies = [CHANGES[name](original, rng) for name in ("smaller", "stretched", "mirrored", "cropped")]
        copies += [DISGUISES[name](original, rng, original) for name in kinds]
        for each in (original, *copies):
            own, pictures = hash_video(each.frames)
            hashes.append(own[: len(WINDOWS)])
            backgrounds.append(pictures[0])
            sources.append(source)
    windows = np.stack(hashes)
    found = Backgrounds(windows[:, 0], windows)
    candidates = np.concatenate(list(found.near(0, found.windows(0))))
    return backgrounds, np.array(sources), candidates[candidates["bits"] <= NEAR]


def kept(thumbnails, candidates, others=None):
    x, y = (candidates[name].astype(int) for name in ("x", "y"))
    return thumbnails.may_match(x, others or thumbnails, y, candidates["window"], candidates["mirrored"])


@pytest.mark.slow
def test_no_copy_is_lost_and_few_unrelated_pictures_are_left(near):
    pictures, sources, candidates = near
    same = sources[candidates["x"]] == sources[candidates["y"]]
    passed = kept(Thumbnails(pictures), candidates)
    lost = [
        each
        for each in candidates[same & ~passed]
        if align(pictures[each["x"]], pictures[each["y"]], WINDOWS[each["window"]], mirrored=each["mirrored"]).score
        >= THRESHOLD
    ]
    assert lost == []
    assert (same & passed).sum() > 20 * SOURCES
    assert (~same).sum() > 20
    assert passed[~same].mean() < 0.4


def test_a_part_of_a_picture_is_found_where_it_lies_whatever_is_asked_beside_it():
    random = np.random.default_rng(0)
    large = [cv2.GaussianBlur(random.integers(0, 256, (64, 64)).astype(np.uint8), (0, 0), 2.0) for _ in range(40)]
    number = WINDOWS.index((0.2, 0.1, 0.8, 0.8))
    parts = [cv2.resize(each[13:64, 6:58], (64, 64)) for each in large]  # as the window, but for a pixel
    seen = Thumbnails(large)
    ours, theirs = (each.ravel() for each in np.mgrid[:40, :40])
    window = np.full(1600, number)
    for mirrored in (False, True):
        others = Thumbnails([part[:, ::-1] if mirrored else part for part in parts])
        passed = seen.may_match(ours, others, theirs, window, np.full(1600, mirrored))
        assert passed[ours == theirs].all()
        assert passed[ours != theirs].mean() < 0.01
        assert not seen.may_match(ours, others, theirs, window, np.full(1600, not mirrored))[ours == theirs].any()
        alone = seen.may_match(ours[:1], others, theirs[:1], window[:1], np.full(1, mirrored))
        assert alone.all()


def test_empty_pictures_and_no_pairs_are_no_trouble():
    empty = Thumbnails([np.full((64, 64), 90, np.uint8)])
    one, none = np.zeros(1, int), np.zeros(0, int)
    assert not empty.may_match(one, empty, one, one, np.zeros(1, bool)).any()
    assert len(empty.may_match(none, empty, none, none, np.zeros(0, bool))) == 0
