import numpy as np
import pytest

from clipfold.features.texture import COLUMNS, features
from tests.helpers.moving import film

TIMES = np.arange(10) / 10
TRACK = film(TIMES, things=((0.3, 0.4, 0.2, 0.0),)) // 2 + np.uint8(20)


@pytest.fixture(scope="module")
def usual():
    return features(TRACK)


def test_shares_of_each_plane_add_up(usual):
    for plane in ("xy", "xt", "yt"):
        assert sum(usual[f"{plane}_{number}"] for number in range(10)) == pytest.approx(1)


def test_brightness_mirrors_and_reversed_time_change_no_pattern(usual):
    assert features(TRACK + np.uint8(90)) == pytest.approx(usual, abs=1e-6)
    for other in (TRACK[..., ::-1], TRACK[:, ::-1], TRACK[::-1]):
        assert features(other) == pytest.approx(usual, abs=0.02)


def test_the_size_of_large_pictures_changes_little(usual):
    large = features(film(TIMES, 256, 192, ((0.3, 0.4, 0.2, 0.0),)) // 2 + np.uint8(20))
    assert large == pytest.approx(usual, abs=0.08)


def test_gradients_are_those_of_a_slope_and_of_a_fade():
    slope = np.broadcast_to(5 * np.arange(40), (6, 40, 40)).astype(np.uint8)
    values = features(slope)
    assert values["gradient_space"] == pytest.approx(np.log10(5.1))
    assert values["gradient_time"] == -1
    assert values["linear"] == pytest.approx(1)
    assert features(slope + 8 * np.arange(6, dtype=np.uint8)[:, None, None])["gradient_time"] == pytest.approx(
        np.log10(8.1), abs=0.2
    )


def test_a_still_picture_has_only_patterns_of_space():
    values = features(np.repeat(TRACK[:1], 6, axis=0))
    assert values["gradient_time"] == -1
    assert values["planar"] > 0.2  # the third eigenvalue is 0
    noise = features(np.random.default_rng(0).integers(0, 256, (8, 40, 40), np.uint8))
    assert noise["xt_9"] > values["xt_9"]
    assert noise["linear"] < 0.5


@pytest.mark.parametrize("shape", [(3, 96, 128), (9, 7, 128)])
def test_too_few_steps_or_pixels_have_no_texture(shape):
    values = features(np.zeros(shape, np.uint8))
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
