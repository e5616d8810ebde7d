import numpy as np
import pytest

from clipfold.features.temporal import COLUMNS, features
from tests.helpers.moving import film

TIMES = np.arange(20) / 10
PANNED = film(np.arange(26) / 10, pan=0.15)


@pytest.fixture(scope="module")
def whole():
    return features(PANNED[:20], TIMES)


def test_a_held_frame_is_frozen(whole):
    held = features(np.concatenate([PANNED[:8], np.repeat(PANNED[8:9], 6, axis=0), PANNED[14:20]]), TIMES)
    assert held["frozen_share"] == held["longest_frozen"] == pytest.approx(5 / 19)
    assert whole["frozen_share"] == whole["longest_frozen"] == 0
    assert held["camera_jump"] > whole["camera_jump"] + 1
    assert held["residual_correlation_highest"] == pytest.approx(1, abs=1e-3)


def test_dropped_frames_are_a_jump(whole):
    dropped = features(np.concatenate([PANNED[:10], PANNED[16:26]]), TIMES)
    for name in ("camera_jump", "change_jump"):
        assert dropped[name] > whole[name] + 0.4, name


def test_a_cut_changes_the_histogram(whole):
    other = np.random.default_rng(0).integers(0, 40, (10, 96, 128), np.uint8)
    assert features(np.concatenate([PANNED[:10], other]), TIMES)["cut"] > 1.5 > 0.3 > whole["cut"]


def test_lamps_flicker(whole):
    lit = features(PANNED[:20] + (10 * (np.arange(20) % 2)).astype(np.uint8)[:, None, None], TIMES)
    assert lit["flicker"] == pytest.approx(np.log10(20), abs=0.1)  # twice the step of 10
    assert whole["flicker"] < 0.3


def test_noise_of_each_step_is_its_own_and_fixed_patterns_stay():
    random = np.random.default_rng(0)
    grey = np.full((8, 64, 64), 100)
    new, fixed = random.normal(0, 4, (8, 64, 64)), random.normal(0, 4, (1, 64, 64))
    fresh, stays = (features((grey + noise).astype(np.uint8), TIMES[:8]) for noise in (new, np.repeat(fixed, 8, 0)))
    assert fresh["residual_correlation"] == pytest.approx(0, abs=0.05)
    assert stays["residual_correlation"] == pytest.approx(1, abs=0.01)
    half = np.where(np.arange(64) < 32, fixed, new)
    assert features((grey + half).astype(np.uint8), TIMES[:8])["residual_correlation_spread"] > 0.9


@pytest.mark.parametrize("other", [{"added": 20}, {"width": 192, "height": 144}], ids=["light", "size"])
def test_a_steady_film_is_steady_in_another(whole, other):
    values = features(film(TIMES, pan=0.15, **other), TIMES)
    for name in ("frozen_share", "camera_jump", "change_jump", "speed_jump", "cut"):
        assert values[name] == pytest.approx(whole[name], abs=0.25), name


def test_moved_times_change_nothing(whole):
    assert features(PANNED[:20], TIMES + 64) == pytest.approx(whole)


def test_a_still_picture_has_finite_values():
    values = features(np.repeat(PANNED[:1], 5, axis=0), TIMES[:5])
    assert np.isfinite(list(values.values())).all()
    assert values["frozen_share"] == 1


@pytest.mark.parametrize("shape", [(3, 96, 128), (9, 7, 128)])
def test_too_few_steps_or_pixels_have_no_time(shape):
    values = features(np.zeros(shape, np.uint8), np.arange(shape[0]) / 10)
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
