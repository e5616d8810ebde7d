"""Check thresholds and temperatures against brute force, and reliability against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, log_loss

from clipfold.evaluation import calibration, intervals
from clipfold.evaluation.temperature import scale


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40))
def test_no_threshold_is_better_than_the_chosen_one(videos):
    positive, scores = (np.array(column) for column in zip(*videos, strict=True))
    probabilities = np.column_stack([1 - scores / 20, scores / 20])
    chosen = calibration.choose_threshold(positive, probabilities[:, 1])
    if positive.all() or not positive.any():
        assert chosen == 0.5
        return

    def score(threshold):
        return balanced_accuracy_score(positive, calibration.decide(probabilities, threshold))

    found = {threshold: score(threshold) for threshold in np.linspace(-0.025, 1.025, 43)}
    assert score(chosen) == pytest.approx(max(found.values()))
    assert 0 <= chosen <= 1


def test_among_equally_good_thresholds_the_nearest_to_a_half_is_chosen():
    positive, scores = np.array([True, False, True, False]), np.array([0.9, 0.1, 0.6, 0.3])
    assert calibration.choose_threshold(positive, scores) == pytest.approx(0.45)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 4), st.floats(0.3, 4))
def test_temperature_has_the_lowest_log_loss_and_prior(seed, classes, true):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(300, classes)) * 2
    y = np.array([random.choice(classes, p=p) for p in softmax(logits / true, axis=1)])
    p = softmax(logits, axis=1)
    chosen = calibration.fit_temperature(y, p)

    def loss(temperature):
        return log_loss(y, scale(p, temperature), labels=range(classes)) + np.log(temperature) ** 2 / 600

    assert loss(chosen) <= min(map(loss, np.geomspace(0.1, 10, 60))) + 1e-9
    assert scale(p, 1.0) == pytest.approx(p)


def test_temperature_recovers_the_truth_and_stays_within_bounds():
    random = np.random.default_rng(0)
    logits = random.normal(size=(50_000, 2))
    y = (random.random(50_000) < softmax(logits / 2, axis=1)[:, 1]).astype(int)
    assert calibration.fit_temperature(y, softmax(logits, axis=1)) == pytest.approx(2, rel=0.05)
    certain = np.tile([[0.6, 0.4], [0.4, 0.6]], (500, 1))  # all correct: sharper is always better
    chosen = [calibration.fit_temperature(np.tile([0, 1], 500), certain, groups) for groups in (3, 30, 10**6)]
    assert 1 > chosen[0] > chosen[1] > chosen[2] >= 0.1
    assert chosen[0] > 0.4
    assert calibration.fit_temperature(np.array([], int), certain[:0]) == 1


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
