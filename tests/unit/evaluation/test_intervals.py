"""Check the vectorised metrics against scikit-learn on repeated videos, and the properties of intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import beta, t
from sklearn.metrics import average_precision_score, roc_auc_score

from clipfold.evaluation import intervals, metrics, resampled_ranking


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 1000), st.integers(2, 4), st.integers(1, 12), st.sampled_from([1, 8]))
def test_resampled_metrics_are_those_of_the_repeated_videos(seed, classes, groups, digits):
    random = np.random.default_rng(seed)
    group = np.r_[np.arange(groups), random.integers(0, groups, 30)]
    y = random.integers(0, classes, len(group))
    p = np.round(random.dirichlet(np.ones(classes), len(group)), digits) + 0.01
    p /= p.sum(axis=1, keepdims=True)
    counts = intervals.draw(groups, seed, resamples=2)
    overall, each = intervals.resampled(y, p, group, counts)
    for r, row in enumerate(counts):
        videos = np.repeat(np.arange(len(group)), row[group].astype(int))
        expected, expected_each = metrics.compute(y[videos], p[videos])
        assert overall.keys() == expected.keys()
        assert {name: values[r] for name, values in overall.items()} == pytest.approx(expected, nan_ok=True)
        for found, wanted in zip(each, expected_each, strict=True):
            wanted.pop("support")
            assert {name: values[r] for name, values in found.items()} == pytest.approx(wanted, nan_ok=True)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40))
def test_ranking_with_ties_agrees_with_scikit_learn(videos):
    positive, scores = (np.array(column) for column in zip(*videos, strict=True))
    each = np.arange(len(videos))
    auc, precision, eer = resampled_ranking.ranking(positive, scores / 4, each, np.ones((1, len(videos)), int))
    if 0 < positive.sum() < len(videos):
        assert auc[0] == pytest.approx(roc_auc_score(positive, scores))
        assert precision[0] == pytest.approx(average_precision_score(positive, scores))
        assert eer[0] == pytest.approx(metrics.ranking(positive, scores)[2])
    else:
        assert np.isnan([auc[0], precision[0], eer[0]]).all()


def test_working_in_blocks_changes_nothing(monkeypatch):
    random = np.random.default_rng(0)
    case = random.random(50) < 0.4, random.random(50), np.arange(50), intervals.draw(50, 1, 30)
    whole = resampled_ranking.ranking(*case)
    monkeypatch.setattr(resampled_ranking, "_AT_ONCE", 130)
    np.testing.assert_array_equal(whole, resampled_ranking.ranking(*case))


def test_adding_negatives_of_a_step_first_changes_nothing(monkeypatch):
    random = np.random.default_rng(0)
    case = random.random(300) < 0.1, random.random(300).round(2), np.arange(300) // 5, intervals.draw(60, 1, 30)
    found = []
    for ratio in (0, np.inf):
        monkeypatch.setattr(resampled_ranking, "_PRODUCT", ratio)
        found.append(resampled_ranking.ranking(*case))
        np.testing.assert_array_equal(resampled_ranking.roc_auc(*case), found[-1][0])
    np.testing.assert_array_equal(*found)


def test_draws_are_complete_and_reproducible():
    counts = intervals.draw(7, seed=3, resamples=100)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == intervals.draw(7, seed=3, resamples=100)).all()
    assert (counts != intervals.draw(7, seed=4, resamples=100)).any()


def test_interval_of_a_mean_is_students_on_the_logit_scale():
    low, high = intervals.interval(0.8, 0.05, 22)
    width = t.ppf(0.975, 22) * 0.05 / (0.8 * 0.2)  # the delta method
    assert (logit(low), logit(high)) == pytest.approx((logit(0.8) - width, logit(0.8) + width))
    assert intervals.interval(0.6, 0.1, 22, (-1, 1)) == pytest.approx((2 * low - 1, 2 * high - 1))
    low, high = intervals.interval(0.5, 0.1, 22, (0, np.inf))
    assert (np.log(low), np.log(high)) == pytest.approx(tuple(np.log(0.5) + t.ppf([0.025, 0.975], 22) * 0.1 / 0.5))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 1000), st.sampled_from([(0, 1), (-1, 1), (0, 2), (0, np.inf)]))
def test_interval_is_around_the_value_and_within_bounds(share, error, degrees, bounds):
    value = bounds[0] + share * (min(bounds[1], 5) - bounds[0])
    low, high = intervals.interval(value, error, degrees, bounds)
    assert bounds[0] <= low <= value + 1e-12
    assert value - 1e-12 <= high <= bounds[1]


def test_a_perfect_result_is_not_certain():
    low, high = intervals.interval(1.0, 0.0, 22)
    assert high == 1
    assert low == pytest.approx(beta.ppf(0.025, 23, 1))  # Clopper-Pearson, 23 of 23
    assert intervals.interval(0.0, 0.0, 22) == pytest.approx((0, 1 - low))


def test_interval_of_the_calibration_error_is_corrected_for_chance():
    draws = np.tile([0.08, 0.12], 50)  # a mean of 0.1, where the value is 0.07
    width = t.ppf(0.975, 22) * intervals.standard_error(draws, 23)
    found = intervals.interval_of("ece", 0.07, draws, 23, 22, 2)
    assert found == pytest.approx((max(0, 0.07 - 0.03 * (1 + np.sqrt(2)) - width), max(0.07, 0.04 + width)))
    assert intervals.interval_of("ece", 0.07, draws[:0], 23, 22, 2) == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert intervals.interval_of("brier", 0.07, draws, 23, 22, 2) == pytest.approx(
        intervals.interval(0.07, intervals.standard_error(draws, 23), 22)
    )


def test_undefined_values_have_no_interval():
    assert np.isnan(intervals.interval(np.nan, 0.1, 5)).all()
    assert np.isnan(intervals.interval(0.5, np.nan, 5)).all()
    assert np.isnan(intervals.difference(np.nan, 0.1, 5)).all()
    assert np.isnan(intervals.standard_error(np.array([0.5, np.nan]), 5))
    assert np.isnan(intervals.standard_error(np.array([0.5, 0.5]), 1))


def test_other_training_groups_widen_intervals_by_their_share():
    draws = np.random.default_rng(0).normal(0.7, 0.05, 1000)
    share = intervals.training(100, 64)  # five folds, a fifth of each fold's rest for validation
    assert share == pytest.approx(intervals.TRAINING * 100 / 64)
    plain, wider = (intervals.standard_error(draws, 23, each) for each in (0.0, share))
    assert wider == pytest.approx(plain * np.sqrt(1 + share))
    assert intervals.training(20, 10_000) < 0.001  # a small test of a model trained on many


def test_standard_error_of_a_mean_of_groups_is_the_textbooks():
    values = np.random.default_rng(0).random(20)
    means = intervals.draw(20, 0, 20_000) @ values / 20
    assert intervals.standard_error(means, 20) == pytest.approx(values.std(ddof=1) / np.sqrt(20), rel=0.02)


def test_degrees_of_freedom_follow_group_sizes_and_the_rarer_class():
    equal = np.repeat(np.arange(10), 4)
    assert intervals.degrees_of_freedom(np.zeros(40, int), equal) == pytest.approx(9)
    assert intervals.degrees_of_freedom(np.zeros(40, int), np.repeat([0, 1, 2], [38, 1, 1])) == pytest.approx(
        1, abs=0.2
    )
    # As many groups of either class: Welch's test of two means has 5 + 5 - 2.
    assert intervals.degrees_of_freedom((equal >= 5).astype(int), equal) == pytest.approx(8)
    rare = (np.repeat(np.arange(100), 4) >= 95).astype(int)
    assert 4 <= intervals.degrees_of_freedom(rare, np.repeat(np.arange(100), 4)) < 5


def test_difference_is_students():
    low, high, p = intervals.difference(0.2, 0.1, 9)
    assert (low, high) == pytest.approx((0.2 - t.ppf(0.975, 9) * 0.1, 0.2 + t.ppf(0.975, 9) * 0.1))
    assert p == pytest.approx(2 * t.sf(2, 9))
    assert intervals.difference(0.0, 0.0, 9) == (0, 0, 1)


def test_a_difference_that_no_draw_changes_is_not_certain():
    """Compare a perfect with a constant model on four groups: flipping their signs gives p = 2 / 2**4."""
    low, high, p = intervals.difference(0.5, 0.0, 3)
    assert low < 0 < high <= 1
    assert p == pytest.approx(2 / 2**4)
    assert intervals.difference(-1.0, 1e-17, 3) == pytest.approx((-1, -1 + intervals._unseen(3), 2 / 2**4))
    assert intervals.difference(0.1, 0.0, 9)[2] > 0.5
    assert intervals.difference(0.5, 0.0, 19)[2] < 0.001


def test_few_large_groups_give_wider_intervals_than_many_small_ones():
    y = np.repeat([0, 1], 200)
    right = np.tile(np.repeat([True, True, True, False], 10), 10)  # groups of 10 are right or wrong together
    p = np.eye(2)[np.where(right, y, 1 - y)]
    widths = []
    for groups in (np.arange(400), np.arange(400) // 10):
        number = groups.max() + 1
        overall, _ = intervals.resampled(y, p, groups, intervals.draw(number, 0))
        low, high = intervals.interval(0.75, intervals.standard_error(overall["accuracy"], number), number - 1)
        assert low < 0.75 < high
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


@pytest.mark.slow
def test_intervals_of_few_groups_reach_their_nominal_coverage():
    # 20 groups of about 5 videos that share an effect; benchmarks/coverage.py has the full simulation.
    def sample(random, number):
        groups = np.repeat(np.arange(number), random.integers(1, 10, number))
        y = random.integers(0, 2, len(groups))
        noise = np.sqrt(0.3) * random.normal(size=number)[groups] + np.sqrt(0.7) * random.normal(size=len(groups))
        real = 1 / (1 + np.exp(-2 * (1.5 * (y - 0.5) + noise)))
        return y, np.column_stack([1 - real, real]), groups

    random, trials = np.random.default_rng(0), 250
    truth = metrics.overall(*sample(random, 100_000)[:2])
    held = dict.fromkeys(("accuracy", "roc_auc"), 0)
    for each in range(trials):
        y, p, groups = sample(random, 20)
        draws = intervals.resampled(y, p, groups, intervals.draw(20, each, 300))[0]
        values, degrees = metrics.overall(y, p), intervals.degrees_of_freedom(y, groups)
        for metric in held:
            low, high = intervals.interval(values[metric], intervals.standard_error(draws[metric], 20), degrees)
            held[metric] += low <= truth[metric] <= high
    # The target is 92 to 97 %; 250 trials may deviate by 1 more point.
    assert all(0.92 * trials <= count <= 0.98 * trials for count in held.values()), held
