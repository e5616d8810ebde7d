"""Check the tests against published values, textbook formulas and brute force, and their false positive rates."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, ttest_1samp
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from clipfold.evaluation import intervals, resampled_ranking, significance


def test_holm_as_published():
    # Holm 1979: the smallest p times the number of tests, the next times one less, never falling.
    p = np.array([0.01, 0.02, 0.03, 0.04, 0.05])
    assert significance.holm(p) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert significance.holm(np.array([np.nan, 0.01])) == pytest.approx([1, 0.02])
    assert significance.holm(np.array([])).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms())
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferronis(values, random):
    p = np.array(values)
    corrected = significance.holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, len(p) * p) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()
    assert (corrected >= false_discovery_control(p) - 1e-12).all()
    shuffled = list(range(len(p)))
    random.shuffle(shuffled)
    assert significance.holm(p[shuffled]) == pytest.approx(corrected[shuffled])


def test_mcnemar_as_published():
    # Fagerland, Lydersen & Laake 2013, table 1 (airway hyper-responsiveness): 1 and 7 discordant pairs, mid-p 0.039.
    first = np.array([True] * 1 + [False] * 7 + [True] * 13)
    second = np.array([False] * 1 + [True] * 7 + [True] * 13)
    assert significance.mcnemar(first, second) == pytest.approx(0.0391, abs=5e-5)
    assert significance.mcnemar(first, first) == 1


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_exact_test_minus_half_the_observed_probability(wins, losses):
    first = np.array([True] * wins + [False] * losses + [True])
    second = np.array([False] * wins + [True] * losses + [True])
    found = significance.mcnemar(first, second)
    if wins == losses:
        assert found == pytest.approx(1)
    else:
        exact = binomtest(wins, wins + losses).pvalue
        assert found == pytest.approx(exact - binomial(wins + losses, wins))


def binomial(n, k):
    return float(np.prod([(n - i) / (i + 1) for i in range(k)])) / 2**n


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 15), st.integers(2, 15), st.sampled_from([1, 8]))
def test_delong_is_the_published_sums_over_pairs(seed, positives, negatives, digits):
    random = np.random.default_rng(seed)
    positive = np.arange(positives + negatives) < positives
    scores = np.round(random.random((3, len(positive))), digits)
    # DeLong, DeLong & Clarke-Pearson 1988, equations 3 to 5, over all pairs.
    wins = [np.sign(s[positive][:, None] - s[~positive][None]) / 2 + 0.5 for s in scores]
    tens, ones = (np.stack([w.mean(axis=axis) for w in wins]) for axis in (1, 0))
    expected = np.cov(tens) / positives + np.cov(ones) / negatives
    placed = significance.placements(positive, scores)
    assert placed[:, positive].mean(axis=1) == pytest.approx([roc_auc_score(positive, s) for s in scores])
    assert placed[:, ~positive].mean(axis=1) == pytest.approx(placed[:, positive].mean(axis=1))
    np.testing.assert_allclose(significance.delong(positive, placed), expected, atol=1e-12)


def test_delong_of_equal_models_and_of_too_few_videos():
    positive, scores = np.array([True, True, False, False]), np.tile([0.9, 0.3, 0.5, 0.1], (2, 1))
    placed = significance.placements(positive, scores)
    assert significance.delong_p(placed.mean(axis=1), significance.delong(positive, placed), 0, 1) == 1
    covariance = significance.delong(positive[1:], significance.placements(positive[1:], scores[:, 1:]))
    assert np.isnan(significance.delong_p(np.array([0.5, 0.5]), covariance, 0, 1))


def test_resampled_t_is_students_without_overlap_and_more_cautious_with_it():
    differences = np.array([0.05, 0.02, -0.01, 0.04, 0.03])
    assert significance.corrected_resampled_t(differences, 0) == pytest.approx(ttest_1samp(differences, 0).pvalue)
    # Nadeau & Bengio 2003: the variance is (1/J + n_test/n_train) times that of the differences.
    t = differences.mean() / np.sqrt((1 / 5 + 1 / 4) * differences.var(ddof=1))
    assert significance.corrected_resampled_t(differences, 1 / 4) == pytest.approx(2 * student.sf(t, 4))
    assert significance.corrected_resampled_t(np.r_[differences, np.nan], 1 / 4) == pytest.approx(2 * student.sf(t, 4))
    assert np.isnan(significance.corrected_resampled_t(differences[:1], 1 / 4))
    assert significance.corrected_resampled_t(np.zeros(3), 1 / 4) == 1


def test_sign_flip_approximates_all_sets_of_signs():
    contributions = np.random.default_rng(0).normal(0.4, 1, (8, 3)).round(1)
    apart, above = significance.sign_flip(contributions, seed=1, flips=20_000)
    sums = np.array([np.array(signs) @ contributions for signs in product([-1, 1], repeat=8)])
    seen = contributions.sum(axis=0)
    assert apart == pytest.approx((np.abs(sums) >= np.abs(seen) - 1e-9).mean(axis=0), abs=0.01)
    assert above == pytest.approx((sums >= seen - 1e-9).mean(axis=0), abs=0.01)


def test_sign_flip_of_no_difference_finds_none():
    apart, above = significance.sign_flip(np.zeros((5, 1)), seed=0, flips=99)
    assert (apart, above) == (1, 1)


@pytest.mark.slow
def test_group_aware_tests_keep_their_false_positive_rate():
    # Two equally good models on 30 groups of about 5 videos; the errors of each cluster in groups.
    random, trials = np.random.default_rng(0), 300
    found = dict.fromkeys(("bootstrap", "sign flip", "delong", "mcnemar"), 0)
    for each in range(trials):
        groups = np.repeat(np.arange(30), random.integers(1, 10, 30))
        positive = random.random(30)[groups] < 0.5
        noise = np.sqrt(0.5) * (random.normal(size=(2, 30))[:, groups] + random.normal(size=(2, len(groups))))
        scores = 1.5 * (positive - 0.5) + noise
        counts = intervals.draw(30, each, 200)
        draws = [resampled_ranking.ranking(positive, s, groups, counts)[0] for s in scores]
        placed = significance.placements(positive, scores)
        aucs = placed[:, positive].mean(axis=1)
        error, degrees = (
            intervals.standard_error(draws[0] - draws[1], 30),
            intervals.degrees_of_freedom(positive, groups),
        )
        right = (scores > 0) == positive
        by_group = np.bincount(groups, right[0].astype(float) - right[1], 30)
        p = {
            "bootstrap": intervals.difference(aucs[0] - aucs[1], error, degrees)[2],
            "sign flip": significance.sign_flip(by_group[:, None], each, 399)[0][0],
            "delong": significance.delong_p(aucs, significance.delong(positive, placed), 0, 1),
            "mcnemar": significance.mcnemar(*right),
        }
        for name, value in p.items():
            found[name] += value < 0.05
    assert found["bootstrap"] <= 0.06 * trials, found
    assert found["sign flip"] <= 0.06 * trials, found
    assert found["delong"] > 0.1 * trials, found  # the reason why it does not decide
    assert found["mcnemar"] > 0.1 * trials, found
