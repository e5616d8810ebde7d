import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipfold.features.motion import features

HEIGHT, WIDTH = 48, 64


def texture(seed=1):
    """Smooth noise with a margin of 32 pixels to move in."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT + 64, WIDTH + 64), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX)


def moved(shifts, direction=(0, 1), seed=1):
    """A texture that moves by so many pixels from step to step."""
    picture, places = texture(seed), 32 + np.cumsum([0, *shifts])[:, None] * np.array(direction)
    return np.stack(
        [picture[y : y + HEIGHT, x : x + WIDTH] for y, x in places - np.multiply(direction, sum(shifts) // 2)]
    )


def flat(*levels):
    return np.stack([np.full((HEIGHT, WIDTH), level, np.uint8) for level in levels])


def test_statistics_of_the_change():
    values = features(flat(10, 17, 17, 20))  # changes: 7, 0, 3
    assert values["change_mean"] == pytest.approx(10 / 3)
    assert values["change_std"] == pytest.approx(np.sqrt((9 + 0 + 49) / 3 - (10 / 3) ** 2))
    assert values["change_max"] == 7
    assert values["change_jump"] == pytest.approx(7 / (10 / 3), rel=1e-5)
    assert values["frozen_share"] == pytest.approx(1 / 3)


def test_frozen_steps_and_their_longest_run():
    values = features(flat(0, 0, 0, 9, 9, 9, 9, 0))  # 2 frozen, a change, 3 frozen, a change
    assert values["frozen_share"] == pytest.approx(5 / 7)
    assert values["longest_frozen"] == pytest.approx(3 / 7)


def test_a_still_picture_does_not_move():
    values = features(moved([0] * 5))
    assert values["frozen_share"] == values["longest_frozen"] == 1
    assert values["change_mean"] == values["speed_std"] == values["speed_jump"] == values["speed_correlation"] == 0
    assert values["speed_max"] < 0.01
    assert values["static_share"] > 0.95


@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (0, -1), (-1, 0)])
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_the_speed_is_the_shift_per_step_whatever_its_direction(shift, direction):
    values = features(moved([shift] * 5, direction))
    assert values["speed_mean"] == pytest.approx(shift, rel=0.1)
    assert values["speed_std"] < 0.1 * shift
    assert values["static_share"] < 0.05
    assert values["frozen_share"] == values["longest_frozen"] == 0


def test_a_speed_that_alternates_anticorrelates_with_itself():
    values = features(moved([0, 2, 0, 2, 0]))
    # By hand: mean 0.8, deviations -0.8, 1.2, ...: sum of products -3.84, of squares 4.8.
    assert values["speed_correlation"] == pytest.approx(-3.84 / 4.8, abs=0.02)
    assert values["speed_mean"] == pytest.approx(0.8, rel=0.1)
    assert values["speed_max"] == pytest.approx(2, rel=0.1)
    assert values["speed_jump"] == pytest.approx(2 / 0.8, rel=0.1)
    assert values["static_share"] < 0.05  # every pixel moves in some step


def test_what_moves_in_a_part_of_the_picture_leaves_the_rest_static_and_is_uneven():
    whole, part = moved([2] * 5), moved([2] * 5)
    part[:, :, : WIDTH // 2] = part[0, :, : WIDTH // 2]
    assert 0.3 < features(part)["static_share"] < 0.5
    assert features(part)["unevenness_mean"] > 2 * features(whole)["unevenness_mean"]
    assert features(part)["unevenness_mean"] == pytest.approx(1, rel=0.2)  # of a half at 0 and a half at 2


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 99))
def test_mirrored_videos_move_alike_and_every_value_is_finite(shifts, seed):
    track = moved(shifts, seed=seed)
    values = features(track)
    assert np.isfinite(list(values.values())).all()
    mirrored = features(track[:, :, ::-1].copy())
    for name, value in values.items():
        if name.startswith("change") or "frozen" in name:
            assert mirrored[name] == pytest.approx(value, rel=1e-4), name
        elif name.endswith(("_mean", "_max")):
            assert mirrored[name] == pytest.approx(value, rel=0.15, abs=0.05), name


@given(st.lists(st.integers(0, 155), min_size=2, max_size=6), st.integers(0, 100))
def test_brightness_alone_is_no_motion(levels, added):
    values = features(flat(*levels))
    assert features(flat(*(level + added for level in levels))) == pytest.approx(values)


@pytest.mark.parametrize("steps", [0, 1])
def test_less_than_two_steps_have_no_motion(steps):
    values = features(moved([1, 1])[:steps])
    assert set(values) == set(features(moved([1, 1])))
    assert np.isnan(list(values.values())).all()
