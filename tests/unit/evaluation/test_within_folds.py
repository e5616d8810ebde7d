"""ROC-AUC within folds: which pairs count, and what a model that knows nothing gets."""

import numpy as np
import pytest
from scipy.stats import norm

from clipfold.evaluation import intervals, metrics, within_folds


@pytest.mark.parametrize(
    ("targets", "groups", "folds", "classes", "name"),
    [
        ([0, 1, 0, 1], [0, 1, 2, 3], [0, 0, 1, 1], 2, "roc_auc_within"),
        ([0, 1, 0, 2], [0, 1, 2, 3], [0, 0, 1, 1], 3, "balanced_accuracy"),
        ([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], 2, "balanced_accuracy"),  # leave one group out, groups of one class
        ([0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1], 2, "roc_auc_within"),  # leave one group out, mixed groups
        ([0, 1, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1], 2, "balanced_accuracy"),  # a third of the negatives is ranked
        ([0, 1, 0, 0, 0], [0, 1, 2, 3, 4], [0, 0, 0, 1, 1], 2, "roc_auc_within"),
        ([0, 1, 0, 0, 1], [0, 0, 1, 2, 3], [0, 0, 1, 1, 1], 2, "roc_auc_within"),
        ([0, 1, 0, 1, 1], [0, 0, 1, 1, 2], [0, 0, 1, 1, 1], 2, "roc_auc_within"),
        ([0, 1, 1, 0, 1], [0, 0, 1, 2, 2], [0, 0, 0, 1, 1], 2, "roc_auc_within"),
        ([0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], 2, "roc_auc_within"),
    ],
)
def test_headline(targets, groups, folds, classes, name):
    assert within_folds.headline(np.array(targets), np.array(groups), np.array(folds), classes) == name


def case(seed, groups=12, folds=4):
    """Draw videos of mixed groups, whose scores have ties."""
    random = np.random.default_rng(seed)
    group = np.r_[np.arange(groups), random.integers(0, groups, 50)]
    return random.random(len(group)) < 0.4, np.round(random.random(len(group)), 1), group, group % folds


def test_pairs_of_one_fold_and_different_groups_count():
    positive, scores, groups, folds = case(0)
    above, pairs = 0.0, 0
    for p in np.flatnonzero(positive):
        for n in np.flatnonzero(~positive & (folds == folds[p]) & (groups != groups[p])):
            above, pairs = above + (scores[p] > scores[n]) + (scores[p] == scores[n]) / 2, pairs + 1
    found = within_folds.auc(positive, scores, groups, folds)
    assert found == pytest.approx(above / pairs)
    # Each fold may have a scale of its own.
    assert within_folds.auc(positive, scores * (1 + folds) - 10 * folds, groups, folds) == pytest.approx(found)


def test_without_folds_and_groups_it_is_the_usual_roc_auc():
    positive, scores, _, _ = case(1)
    each = np.arange(len(scores))
    assert within_folds.auc(positive, scores, each, 0 * each) == pytest.approx(metrics.ranking(positive, scores)[0])


def test_where_each_fold_is_a_group_its_own_pairs_count():
    positive, scores, groups, _ = case(2)
    areas = [metrics.ranking(positive[groups == g], scores[groups == g])[0] for g in range(12)]
    pairs = [positive[groups == g].sum() * (~positive[groups == g]).sum() for g in range(12)]
    expected = np.average(np.nan_to_num(areas), weights=pairs)
    assert within_folds.auc(positive, scores, groups, groups) == pytest.approx(expected)
    assert np.isnan(within_folds.auc(positive, scores, positive.astype(int), positive.astype(int)))


@pytest.mark.parametrize("folds", [4, 12])
def test_every_draw_is_the_auc_of_the_repeated_videos(folds):
    positive, scores, group, fold = case(3, folds=folds)
    counts = intervals.draw(12, 0, resamples=20)
    found = within_folds.resampled(positive, scores, group, fold, counts)
    for row, value in zip(counts, found, strict=True):
        videos = np.repeat(np.arange(len(group)), row[group].astype(int))
        expected = within_folds.auc(positive[videos], scores[videos], group[videos], fold[videos])
        assert value == pytest.approx(expected, nan_ok=True)
    assert np.isnan(within_folds.resampled(positive, scores, group, positive.astype(int), counts)).all()


def test_a_model_that_knows_nothing_is_at_chance_within_folds_and_below_it_pooled():
    # 12 groups of one class each in 4 folds; the model predicts the share of positives in training.
    random, found = np.random.default_rng(0), []
    for _ in range(300):
        positive = random.permutation(12) < 6
        folds = random.permutation(12) % 4
        scores = np.array([positive[folds != fold].mean() for fold in folds])
        found.append([within_folds.auc(positive, scores, np.arange(12), folds), metrics.ranking(positive, scores)[0]])
    within, pooled = np.nanmean(found, axis=0)
    assert within == 0.5
    assert pooled < 0.4


def test_few_groups_per_fold_do_not_raise_it():
    # Groups share 40 % of the variance of the errors, so videos of one group are easier to tell apart.
    random, found = np.random.default_rng(0), []
    for _ in range(400):
        group = np.repeat(np.arange(15), random.integers(1, 10, 15))
        positive = random.random(len(group)) < 0.5
        errors = np.sqrt(0.4) * random.normal(size=15)[group] + np.sqrt(0.6) * random.normal(size=len(group))
        found.append(within_folds.auc(positive, 1.6 * positive + errors, group, group % 5))
    assert np.mean(found) == pytest.approx(norm.cdf(1.6 / np.sqrt(2)), abs=0.01)


def test_the_pairs_of_many_groups_are_those_of_each_alone():
    random = np.random.default_rng(3)
    groups = random.integers(0, 40, 300)
    positive, scores = random.random(300) < 0.5, np.round(random.random(300), 1)
    mixed = np.intersect1d(groups[positive], groups[~positive])[::2]
    right, pairs = within_folds._within_groups(positive, scores, groups, mixed)
    for group, ranked, number in zip(mixed, right, pairs, strict=True):
        own = groups == group
        assert number == positive[own].sum() * (~positive[own]).sum()
        assert ranked == pytest.approx(number * metrics.ranking(positive[own], scores[own])[0], rel=1e-12)
    assert within_folds._within_groups(positive, scores, groups, mixed[:0])[0].tolist() == []
