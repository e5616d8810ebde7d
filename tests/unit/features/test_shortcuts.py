"""Test what each shortcut sees, and what it cannot see."""

import cv2
import numpy as np

from clipfold.features import colour, motion, shuffled, sound, still

RANDOM = np.random.default_rng(0)
CLIP = RANDOM.integers(0, 256, (5, 24, 32, 3), np.uint8)


def test_colours_are_the_same_wherever_and_whenever_they_are():
    pixels = RANDOM.permutation(CLIP.reshape(-1, 3)).reshape(CLIP.shape)
    found = colour.features(CLIP)
    np.testing.assert_allclose([*colour.features(pixels).values()], [*found.values()])
    assert found["red_mean"] == CLIP[..., 0].mean()
    grey = np.repeat(CLIP[..., :1], 3, axis=3)
    assert colour.features(grey)["grey_share"] == 1
    assert colour.features(grey)["saturation_mean"] == 0


def test_a_still_knows_only_the_middle_frame():
    other = CLIP.copy()
    other[[0, 1, 3, 4]] = 0
    assert still.features(other) == still.features(CLIP)
    assert still.features(CLIP[:1]) != still.features(CLIP)


def test_a_still_tells_places_and_directions_of_edges():
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :16, ::4] = stripes[:, :16, 1::4] = 200  # upright stripes above, nothing below
    found = still.features(stripes)
    strongest = max((name for name in found if name.startswith("edges")), key=lambda name: found[name])
    assert strongest in ("edges_0_0_0", "edges_0_1_0")  # the brightness changes from left to right
    assert found["edges_1_0_0"] < found["edges_0_0_0"] / 4
    assert found["r_0_0"] == 100
    assert found["r_3_3"] == 0


def test_shuffled_steps_are_another_motion_of_the_same_frames():
    picture = RANDOM.integers(0, 256, (48, 120)).astype(np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    track = np.stack([picture[:, step : step + 64] for step in range(20)])  # a pan
    times = np.arange(20) / 8
    found, plain = shuffled.features(track, times), motion.features(track, times)
    assert found == shuffled.features(track, times)
    assert found != plain
    assert all(np.isnan(value) for value in shuffled.features(track[:1], times[:1]).values())


def test_sound_is_there_or_not():
    assert [sound.features({"has_audio": has}) for has in (True, False)] == [{"present": 1.0}, {"present": 0.0}]
