import numpy as np
import pytest

from clipfold.features.violent_flow import BINS, COLUMNS, features
from tests.helpers.moving import film

TIMES = np.arange(12) / 10
STEADY = film(TIMES, things=((0.2, 0.4, 0.25, 0.0),))


def jumping(times, width=128, height=96, added=0):
    """Draw a disc that stands and leaps by turns, a quarter of a second each."""
    places = 0.3 + 0.06 * (np.floor(4 * times + 1e-6) % 2)
    frames = [film([0], width, height, ((x, 0.4, 0, 0),), added=added) for x in places]
    return np.concatenate(frames)


@pytest.fixture(scope="module")
def violent():
    return features(jumping(TIMES), TIMES)


def test_histograms_count_every_pixel_once(violent):
    assert sum(violent[f"change_{number}"] for number in range(BINS)) == pytest.approx(1)
    assert 0 < sum(violent[f"jump_{number}"] for number in range(1, 7)) < 1


def test_leaps_jump_more_than_steady_motion(violent):
    calm = features(STEADY, TIMES)
    assert violent["jump_3"] + violent["jump_4"] > 0.01 > calm["jump_3"] + calm["jump_4"]
    assert violent["cell_concentration"] > 0.2


@pytest.mark.parametrize("other", [{"added": 25}, {"width": 192, "height": 144}], ids=["light", "size"])
def test_leaps_are_as_violent_in_another(violent, other):
    values = features(jumping(TIMES, **other), TIMES)
    for name in ("change_mean", "cell_concentration", "cell_spread", "jump_3", "jump_4"):
        assert values[name] == pytest.approx(violent[name], abs=0.08), name


def test_moved_times_change_nothing(violent):
    assert features(jumping(TIMES), TIMES + 64) == pytest.approx(violent)


def test_a_still_picture_does_not_change():
    values = features(np.repeat(STEADY[:1], 5, axis=0), TIMES[:5])
    assert values["change_0"] == 1
    assert values["change_mean"] == values["jump_1"] == values["cell_spread"] == 0


@pytest.mark.parametrize("shape", [(3, 96, 128), (9, 7, 128)])
def test_too_few_steps_or_pixels_have_no_flow(shape):
    values = features(np.zeros(shape, np.uint8), np.arange(shape[0]) / 10)
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
