import numpy as np
import pytest

from clipfold.features.chroma import COLUMNS, features

RANDOM = np.random.default_rng(0)
SHAPE = (4, 48, 64)


def coloured(grey, blue, red):
    """Make RGB of noise: deviations of the brightness, of Cb and of Cr (BT.601)."""
    y, b, r = (scale * RANDOM.normal(size=SHAPE) for scale in (grey, blue, red))
    rgb = np.stack([y + 1.402 * r, y - 0.344 * b - 0.714 * r, y + 1.772 * b], axis=-1)
    return np.clip(np.rint(128 + rgb), 0, 255).astype(np.uint8)


def test_levels_are_those_of_the_noise_of_each_channel():
    values = features(coloured(8, 4, 2))
    assert values["blue"] == pytest.approx(np.log(0.5), abs=0.06)
    assert values["red"] == pytest.approx(np.log(0.25), abs=0.08)
    # The filter [1 -2 1], across and down, multiplies the deviation of white noise by 6.
    assert values["blue_level"] == pytest.approx(np.log(6 * 4), abs=0.06)
    assert values["blue_red"] == pytest.approx(0, abs=0.1)


def test_grey_noise_has_no_colour():
    values = features(np.repeat(coloured(8, 0, 0)[..., :1], 3, axis=3))
    assert values["blue_level"] == values["red_level"] == pytest.approx(np.log(0.01))
    assert values["blue"] < -8


def test_a_region_of_other_noise_is_the_spread_and_a_frame_the_drift():
    mixed = coloured(8, 4, 4)
    mixed[:, :16, :21] = coloured(8, 1, 1)[:, :16, :21]
    assert mixed.shape == (*SHAPE, 3)
    assert features(mixed)["blue_spread"] > 1 > 0.4 > features(coloured(8, 4, 4))["blue_spread"]
    frames = coloured(8, 4, 4)
    frames[::2] = coloured(8, 1, 1)[::2]
    assert features(frames)["blue_drift"] > 0.5


def test_brightness_and_mirrors_change_nothing():
    frames = coloured(6, 3, 3)
    values = features(frames)
    assert features(frames + np.uint8(30)) == pytest.approx(values, abs=0.05)
    assert features(frames[:, :, ::-1]) == pytest.approx(values, abs=0.1)


def test_flat_frames_have_finite_values_and_small_ones_none():
    assert np.isfinite(list(features(np.full((*SHAPE, 3), 9, np.uint8)).values())).all()
    values = features(np.zeros((2, 23, 64, 3), np.uint8))
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
