"""Check thresholds and temperatures against brute force, and reliability against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from clipfold.evaluation import calibration, intervals
from clipfold.evaluation.temperature import Calibration, fit_calibration, scale


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40), st.floats(0.1, 0.9))
def test_no_threshold_is_better_than_the_chosen_one(videos, expected):
    positive, scores = (np.array(column) for column in zip(*videos, strict=True))
    probabilities = np.column_stack([1 - scores / 20, scores / 20])
    chosen = calibration.choose_threshold(positive, probabilities[:, 1], expected)
    if positive.all() or not positive.any():
        assert chosen == 0.5
        return

    def gain(threshold):
        decided = calibration.decide(probabilities, threshold) == 1
        balanced = (decided[positive].mean() + (~decided[~positive]).mean()) / 2
        return len(videos) * balanced - (logit(threshold) - logit(expected)) ** 2 / 2

    # The best within each interval between scores is its middle, or what was expected.
    middles = [*(np.unique(scores)[:-1] + np.diff(np.unique(scores)) / 2) / 20, expected]
    assert gain(chosen) >= max(map(gain, middles)) - 1e-9


def test_the_threshold_of_few_groups_stays_near_the_expected_one():
    random = np.random.default_rng(0)
    scores = random.random(60)
    positive = random.random(60) < scores
    far = [
        abs(logit(calibration.choose_threshold(positive, scores, 0.3, groups)) - logit(0.3)) for groups in (1, 10**6)
    ]
    assert far[0] < 0.5 < far[1]


def test_the_expected_threshold_undoes_the_calibration():
    found = Calibration(2.0, np.array([0.3, -0.3]))
    expected = calibration.expected_threshold(np.arange(10) < 2, found)
    after = scale(np.array([[1 - expected, expected]]), *found)
    assert after[0, 1] == pytest.approx(0.2)


@pytest.mark.parametrize("classes", [2, 3])
def test_calibration_has_the_lowest_log_loss_and_prior(classes):
    random = np.random.default_rng(classes)
    logits = random.normal(size=(300, classes)) * 2
    y = np.array([random.choice(classes, p=p) for p in softmax(logits / 1.7 + np.arange(classes), axis=1)])
    p = softmax(logits, axis=1)
    chosen = fit_calibration(y, p, 30)

    def loss(temperature, bias):
        prior = (np.log(temperature) ** 2 + (bias**2).sum() / 0.25) / 60
        return log_loss(y, scale(p, temperature, bias), labels=range(classes)) + prior

    def nearby(step):
        shift = step * random.normal(size=1 + classes)
        return loss(chosen.temperature * np.exp(shift[0]), chosen.bias + shift[1:])

    assert loss(*chosen) <= min(nearby(step) for step in np.repeat([1e-3, 1e-2, 0.1, 1], 20)) + 1e-9
    assert chosen.bias.sum() == pytest.approx(0)
    np.testing.assert_allclose(scale(p, 1.0), p)


def test_class_weights_are_undone():
    random = np.random.default_rng(1)
    y = (random.random(4000) < 0.1).astype(int)  # one in ten, but scored as if both were as frequent
    odds = random.normal(size=4000) + 2 * y - 1
    balanced = np.column_stack([1 - expit(odds), expit(odds)])
    after = scale(balanced, *fit_calibration(y, balanced))
    assert after[:, 1].mean() == pytest.approx(0.1, abs=0.01)
    assert balanced[:, 1].mean() > 0.25


def test_calibration_of_few_groups_is_shrunk_and_marked_at_a_bound():
    certain = np.tile([[0.6, 0.4], [0.4, 0.6]], (500, 1))  # all correct: sharper is always better
    chosen = [fit_calibration(np.tile([0, 1], 500), certain, groups) for groups in (3, 30, 10**6)]
    assert 1 > chosen[0].temperature > chosen[1].temperature > chosen[2].temperature >= 0.1
    assert chosen[0].temperature > 0.4
    assert [each.bounded for each in chosen] == [False, False, True]
    none = fit_calibration(np.array([], int), certain[:0])
    assert (none.temperature, *none.bias) == (1, 0, 0)


def test_a_class_that_no_video_shows_gets_no_bias():
    some = np.tile([[0.6, 0.4], [0.4, 0.6]], (50, 1))
    assert not fit_calibration(np.zeros(100, int), some).bias.any()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_reliability_agrees_with_scikit_learn(seed):
    random = np.random.default_rng(seed)
    real = random.random(80)
    y, groups = (random.random(80) < real).astype(int), np.arange(80) // 4
    rows = calibration.reliability(y, np.column_stack([1 - real, real]), groups, intervals.draw(20, 0, 100))
    frequency, probability = calibration_curve(y, real, n_bins=calibration.RELIABILITY_BINS)
    assert [row["frequency"] for row in rows] == pytest.approx(list(frequency))
    assert [row["probability"] for row in rows] == pytest.approx(list(probability))
    assert sum(row["predictions"] for row in rows) == 80
