"""Speeds are those of the scene, whatever the camera, the light, the size of the pictures and their rate."""

import numpy as np
import pytest

from clipfold.features.motion import COLUMNS, features
from tests.helpers.moving import film

TIMES = np.arange(12) / 10
SPEED = 0.25
DISC = ((0.3, 0.4, SPEED, 0.0),)
OPPOSED = ((0.2, 0.4, SPEED, 0.0), (1.0, 0.5, -SPEED, 0.0))


@pytest.fixture(scope="module")
def usual():
    return features(film(TIMES, things=DISC), TIMES)


def test_the_fastest_pixels_have_the_speed_of_the_disc(usual):
    assert usual["speed_99_50"] == pytest.approx(np.log10(SPEED), abs=0.06)
    assert usual["speed_50_50"] < np.log10(SPEED / 10)
    assert usual["moving_share"] == pytest.approx(np.pi * 0.12**2, abs=0.06)  # and its rim
    assert usual["burstiness"] < -0.7
    assert usual["opposition"] < 0.05


@pytest.mark.parametrize(
    "other",
    [
        {"added": 25},
        {"width": 192, "height": 144},
        {"times": np.arange(24) / 20},
        {"times": 1000 + TIMES},
        {"pan": 0.15},
    ],
    ids=["light", "size", "rate", "begin", "camera"],
)
def test_speeds_shares_and_directions_hold_for_other(usual, other):
    times = other.get("times", TIMES)
    values = features(film(**{"things": DISC, "times": TIMES} | other | {"times": times - times[0]}), times)
    for name in ("speed_99_50", "speed_99_90", "moving_share", "extent", "concentration_space", "coherence_near"):
        assert values[name] == pytest.approx(usual[name], abs=0.12), name


def test_the_camera_is_told_from_the_scene():
    values = features(film(TIMES, things=(), pan=0.2), TIMES)
    assert values["camera_speed"] == pytest.approx(np.log10(0.2), abs=0.03)
    assert values["moving_share"] < 0.03
    assert features(film(TIMES, things=DISC), TIMES)["camera_speed"] < -2


def test_things_that_move_against_each_other_are_opposed_and_point_two_ways(usual):
    values = features(film(TIMES, things=OPPOSED), TIMES)
    assert values["opposition"] > 0.25
    assert values["direction_entropy"] > usual["direction_entropy"]
    down = features(film(TIMES, things=((0.5, 0.2, 0.0, SPEED),)), TIMES)
    assert down["vertical"] > 0.85 > 0.15 > usual["vertical"]


def test_a_burst_is_bursty_and_a_swing_periodic(usual):
    burst = np.where(np.arange(24) < 18, 0.0, SPEED * (np.arange(24) - 18) / 5)
    swing = 0.06 * np.sin(np.arange(24) * 2 * np.pi / 12)
    times = np.arange(24) / 10
    tracks = [np.concatenate([film([0], things=((0.4 + x, 0.4, 0, 0),)) for x in path]) for path in (burst, swing)]
    bursty, periodic = (features(track, times) for track in tracks)
    assert bursty["burstiness"] > 0 > usual["burstiness"]
    assert bursty["concentration_time"] > 0.5 > periodic["concentration_time"]
    assert periodic["periodicity"] > 0.5 > bursty["periodicity"]
    assert bursty["acceleration_99_90"] > usual["acceleration_99_90"]


def test_mirrored_pictures_have_mirrored_motion(usual):
    values = features(film(TIMES, things=DISC)[..., ::-1], TIMES)
    for name in COLUMNS:
        # Flow itself is not quite symmetric: it begins at the left.
        assert values[name] == pytest.approx(usual[name], abs=0.15 if "coherence" not in name else 0.2), name


def test_a_still_picture_has_finite_values_and_no_motion():
    values = features(np.repeat(film([0.0]), 5, axis=0), TIMES[:5])
    assert np.isfinite(list(values.values())).all()
    assert values["moving_share"] == values["direction_entropy"] == values["coherence_near"] == 0
    assert values["speed_99_90"] == -3


@pytest.mark.parametrize("shape", [(0, 96, 128), (3, 96, 128), (9, 7, 128)])
def test_too_few_steps_or_pixels_have_no_motion(shape):
    values = features(np.zeros(shape, np.uint8), np.arange(shape[0]) / 10)
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
