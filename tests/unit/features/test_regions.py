import numpy as np
import pytest

from clipfold.features.regions import COLUMNS, features
from tests.helpers.moving import film

TIMES = np.arange(12) / 10
MEETING = ((0.15, 0.42, 0.2, 0.0), (1.0, 0.42, -0.2, 0.0))


@pytest.fixture(scope="module")
def two():
    return features(film(TIMES, things=MEETING), TIMES)


def test_two_discs_are_two_regions_that_approach_on_straight_paths(two):
    assert two["number"] == pytest.approx(2, abs=0.3)
    assert two["opposed"] == pytest.approx(-1, abs=0.1)
    assert two["approach"] == pytest.approx(np.log10(0.4), abs=0.2)  # the rim of a disc is slower
    assert two["distance"] == pytest.approx(np.mean(0.85 - 0.4 * TIMES), abs=0.15)
    assert two["fastest"] == pytest.approx(np.log10(0.2), abs=0.2)
    assert two["path_straightness"] > 0.9
    assert two["path_length"] > 8
    assert two["path_turning"] < 0.15


@pytest.mark.parametrize(
    "other",
    [
        {"added": 25},
        {"width": 192, "height": 144},
        {"times": np.arange(23) / 20},
        {"pan": 0.1},
    ],
    ids=["light", "size", "rate", "camera"],
)
def test_regions_are_the_same_in_another(two, other):
    arguments = {"times": TIMES, "things": MEETING} | other
    values = features(film(**arguments), arguments["times"])
    for name in ("opposed", "approach", "distance", "fastest", "largest_area", "path_straightness"):
        assert values[name] == pytest.approx(two[name], abs=0.15), name
    assert values["number"] == pytest.approx(two["number"], abs=0.5)


def test_one_region_has_no_neighbour_and_a_still_picture_no_region():
    one = features(film(TIMES, things=MEETING[:1]), TIMES)
    assert one["number"] == pytest.approx(1, abs=0.3)
    still = features(np.repeat(film([0.0]), 5, axis=0), TIMES[:5])
    assert still["number"] == still["area"] == still["largest_area"] == still["meetings"] == 0
    assert all(np.isnan(still[name]) for name in ("fastest", "disorder", "distance", "opposed", "path_length"))


def test_regions_that_touch_meet(two):
    touching = film(TIMES, things=((0.3, 0.42, 0.25, 0.0), (0.8, 0.42, -0.25, 0.0)))
    assert features(touching, TIMES)["meetings"] > two["meetings"] == 0


@pytest.mark.parametrize("shape", [(3, 96, 128), (9, 7, 128)])
def test_too_few_steps_or_pixels_have_no_regions(shape):
    values = features(np.zeros(shape, np.uint8), np.arange(shape[0]) / 10)
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
