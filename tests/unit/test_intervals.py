"""The vectorised metrics against scikit-learn on videos that are really repeated, and what intervals are for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from clipfold.evaluation import intervals, metrics


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
        videos = np.repeat(np.arange(len(group)), row[group])
        expected = metrics.overall(y[videos], p[videos])
        assert overall.keys() == expected.keys()
        assert {name: values[r] for name, values in overall.items()} == pytest.approx(expected, nan_ok=True)
        for found, wanted in zip(each, metrics.per_class(y[videos], p[videos]), strict=True):
            wanted.pop("support")
            assert {name: values[r] for name, values in found.items()} == pytest.approx(wanted, nan_ok=True)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40))
def test_ranking_with_ties_is_what_scikit_learn_says(videos):
    positive, scores = (np.array(column) for column in zip(*videos, strict=True))
    each = np.arange(len(videos))
    auc, precision = intervals.ranking(positive, scores / 4, each, np.ones((1, len(videos)), int))
    if 0 < positive.sum() < len(videos):
        assert auc[0] == pytest.approx(roc_auc_score(positive, scores))
        assert precision[0] == pytest.approx(average_precision_score(positive, scores))
    else:
        assert np.isnan([auc[0], precision[0]]).all()


def test_the_work_is_the_same_in_parts(monkeypatch):
    random = np.random.default_rng(0)
    case = random.random(50) < 0.4, random.random(50), np.arange(50), intervals.draw(50, 1, 30)
    whole = intervals.ranking(*case)
    monkeypatch.setattr(intervals, "_AT_ONCE", 130)
    np.testing.assert_array_equal(whole, intervals.ranking(*case))


def test_draws_are_of_whole_size_and_repeatable():
    counts = intervals.draw(7, seed=3, resamples=100)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == intervals.draw(7, seed=3, resamples=100)).all()
    assert (counts != intervals.draw(7, seed=4, resamples=100)).any()


def test_interval_is_the_central_part_of_what_is_defined():
    assert intervals.interval(np.r_[np.arange(101.0), np.nan]) == pytest.approx((2.5, 97.5))
    assert np.isnan(intervals.interval(np.array([np.nan]))).all()


def test_few_large_groups_give_wider_intervals_than_many_small_ones():
    y = np.repeat([0, 1], 200)
    right = np.tile(np.repeat([True, True, True, False], 10), 10)  # groups of 10 are right or wrong as one
    p = np.eye(2)[np.where(right, y, 1 - y)]
    widths = []
    for groups in (np.arange(400), np.arange(400) // 10):
        overall, _ = intervals.resampled(y, p, groups, intervals.draw(groups.max() + 1, 0))
        low, high = intervals.interval(overall["accuracy"])
        assert low < 0.75 < high
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]
