import numpy as np
import pytest
from scipy.stats import ks_2samp

from clipfold.delivery.stability import DRAWS, compare, detectable, draw, more


def alone(training, new):
    """Compare values of which each is its own group."""
    draws = draw([str(i) for i in range(len(training))], [str(i) for i in range(len(new))])
    return compare(np.asarray(training, float), np.asarray(new, float), draws, 0.01)


def test_the_stability_index_is_the_published_sum():
    training, new = np.repeat([0.0, 1.0], [5000, 5000]), np.repeat([0.0, 1.0], [3000, 7000])
    expected = (0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5)
    assert alone(training, new).psi == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("count", [30, 100, 1000])
def test_few_videos_alone_do_not_raise_the_stability_index(count):
    random = np.random.default_rng(0)
    found = [alone(random.normal(size=300), random.normal(size=count)).psi for _ in range(60)]
    assert np.mean(found) < 0.06  # without correction 0.33 for 30


@pytest.mark.parametrize("new", [[1280], [320], [480], [np.nan]])
def test_a_value_that_training_never_has_is_unstable(new):
    assert alone([360, 640] * 50, new * 50).psi > 1
    assert alone([640] * 100, new * 50).psi > 1
    assert alone([640] * 100, [640.001] * 50).psi == 0


def test_kolmogorov_and_smirnov_count_missing_values_as_larger_than_any():
    random = np.random.default_rng(0)
    training, new = random.normal(size=80), random.normal(size=25)
    new[:15] = np.nan
    move, expected = alone(training, new), ks_2samp(training, np.where(np.isnan(new), 1e9, new))
    assert (move.ks, move.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert move.missing == 0.6
    assert alone([np.nan] * 20, [np.nan] * 30) == (0, 0, 1, 0, 0)


def test_clips_of_one_recording_count_once():
    random = np.random.default_rng(0)
    training, new = random.normal(size=20), random.normal(0.4, size=20)
    once = alone(training, new)
    assert once.p > 0.05
    groups = [f"{i:02}" for i in range(20) for _ in range(15)]
    many = compare(training.repeat(15), new.repeat(15), draw(groups, groups), 0.01)
    assert many.p == min(1, 2 * once.p)
    assert many.ks == once.ks
    assert alone(training.repeat(15), new.repeat(15)).p < 0.01  # what it would be otherwise


def test_every_video_of_a_group_may_be_drawn_and_no_other_group_twice():
    training, new = ["a", "a", "b", "c", "c", "c"], ["x", "y"]
    draws = draw(training, new)
    assert len(draws) == DRAWS
    assert all([training[i] for i in first] == ["a", "b", "c"] for first, _ in draws)
    assert {int(i) for first, _ in draws for i in first} == set(range(6))
    assert {tuple(second.tolist()) for _, second in draws} == {(0, 1)}
    assert len(draw(new, new)) == 1


def test_it_is_significant_from_the_detectable_difference_on():
    least = detectable(200, 200, 0.01)
    steps = int(np.ceil(least * 200))
    values = np.arange(200.0)
    assert alone(values, values + steps + 1).p < 0.01 < alone(values, values + steps - 3).p
    assert detectable(5, 1, 0.01) == 1


def test_more_is_one_sided():
    draws = draw(list(map(str, range(40))), list(map(str, range(40))))
    few, many = np.arange(40) < 2, np.arange(40) < 20
    assert more(few, many, draws) < 0.001
    assert more(many, few, draws) > 0.99
    assert more(few, few, draws) > 0.5
