"""Evaluate more than a hundred classes: bounded figures, top-5 accuracy, intervals that hold."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve, top_k_accuracy_score

from clipfold.evaluation import figures, intervals, measure, metrics
from clipfold.evaluation.pooling import Pooled
from clipfold.evaluation.temperature import scale


def case(classes: int, digits: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw targets, probabilities and groups: three groups of two videos for each class, but one for the first."""
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(classes), 6)[4:]
    probabilities = np.round(random.dirichlet(np.ones(classes), len(targets)), digits) + 1e-4
    probabilities[np.arange(len(targets)), targets] += 0.02
    return targets, probabilities / probabilities.sum(axis=1, keepdims=True), np.arange(len(targets)) // 2


def test_the_confusion_figure_is_a_picture_of_bounded_size():
    sizes = []
    for classes in (60, 120, 240):
        targets, probabilities, _ = case(classes)
        drawn = figures._svg(
            lambda p={"a": [(targets, probabilities)]}, c=classes: figures._confusion(p, [str(i) for i in range(c)]),
            "confusion",
            "",
        )
        assert len(re.findall("<image ", drawn)) == 1
        sizes.append(len(drawn))
    assert max(sizes) < 300_000


@pytest.mark.parametrize("digits", [8, 2])
def test_curves_are_the_mean_of_scikit_learns_over_the_classes_present(digits):
    targets, probabilities, _ = case(12, digits)
    kept, grid = targets != 5, np.linspace(0, 1, 201)
    targets, probabilities = targets[kept], probabilities[kept]
    expected = []
    for c in np.unique(targets):
        false, true, _ = roc_curve(targets == c, probabilities[:, c])
        precision, recall, _ = precision_recall_curve(targets == c, probabilities[:, c])
        expected.append([np.interp(grid, false, true), np.interp(grid, recall[::-1], precision[::-1])])
    for (x, y), wanted in zip(figures._curves([(targets, probabilities)]), np.mean(expected, axis=0), strict=True):
        np.testing.assert_allclose(x[1:], grid)
        np.testing.assert_allclose(y[1:], wanted, atol=1e-12)


@pytest.mark.parametrize("digits", [8, 2])
def test_top_5_accuracy_is_scikit_learns(digits):
    targets, probabilities, _ = case(11, digits)
    expected = top_k_accuracy_score(targets, probabilities, k=5)
    assert metrics.overall(targets, probabilities)["top_5_accuracy"] == pytest.approx(expected)
    assert 0 < expected < 1
    few = probabilities[targets < 10, :10]
    assert "top_5_accuracy" not in metrics.overall(targets[targets < 10], few / few.sum(axis=1, keepdims=True))


def test_resampled_metrics_of_many_classes_are_those_of_the_repeated_videos():
    targets, probabilities, groups = case(12, 2)
    counts = intervals.draw(groups.max() + 1, 0, resamples=2)
    overall, _ = intervals.resampled(targets, probabilities, groups, counts)
    for r, row in enumerate(counts):
        videos = np.repeat(np.arange(len(groups)), row[groups].astype(int))
        expected = metrics.overall(targets[videos], probabilities[videos])
        assert {name: values[r] for name, values in overall.items()} == pytest.approx(expected)


def test_a_class_of_one_group_does_not_widen_all_intervals():
    targets, probabilities, groups = case(101)
    assert intervals.degrees_of_freedom(targets, groups) > 100
    counts = intervals.draw(groups.max() + 1, 0, resamples=100)
    names = [f"class {i:03}" for i in range(101)]
    table = pd.DataFrame({"fold": 0, "repeat": 0}, index=range(len(targets)))
    pooled = Pooled(table, table, targets, groups, probabilities, scale(probabilities, 1.0), None)
    rows = {
        (row["class"], row["metric"]): row
        for row in measure.table("a", measure.measure(pooled, names, counts), names)
        if row["scope"] == "pooled"
    }
    for metric in ("accuracy", "balanced_accuracy", "top_5_accuracy", "roc_auc", "roc_auc_within"):
        row = rows["", metric]
        assert row["low"] < row["value"] < row["high"]
        assert row["high"] - row["low"] < 0.2
    assert np.isnan(rows["class 000", "recall"]["low"])
    assert not np.isnan(rows["class 001", "recall"]["low"])


def test_degrees_of_freedom_of_few_classes_stay():
    # Of two classes, one with a single group: no other can stand in for it.
    assert intervals.degrees_of_freedom(np.array([0, 1, 1, 1]), np.arange(4)) == 1
    # Welch with classes of 2, 3 and 4 groups.
    each = np.array([2, 3, 4])
    found = intervals.degrees_of_freedom(np.repeat([0, 1, 2], each), np.arange(9))
    assert found == pytest.approx((1 / each).sum() ** 2 / (1 / each**2 / (each - 1)).sum())
    # Two classes of one group each are pooled: a sum of two variances with one degree of freedom.
    found = intervals.degrees_of_freedom(np.repeat([0, 1, 2], [1, 1, 4]), np.arange(6))
    assert found == pytest.approx(2.25**2 / (2**2 / 1 + 1 / 16 / 3))


def test_intervals_of_many_small_classes_reach_nearly_their_nominal_coverage():
    random, classes, trials = np.random.default_rng(0), 40, 200
    of_group = np.repeat(np.arange(classes), np.r_[1, np.full(classes - 1, 3)])
    group = np.repeat(np.arange(len(of_group)), 4)
    targets, held = of_group[group], dict.fromkeys(("accuracy", "balanced_accuracy"), 0)
    for trial in range(trials):
        right = random.random(len(group)) < random.beta(1.8, 1.2, len(of_group))[group]  # 0.6 of the videos
        predicted = np.where(right, targets, (targets + 1) % classes)
        counts = intervals.draw(len(of_group), trial, 200)
        draws, _ = intervals.decisions(targets, predicted, group, counts, classes)
        values, _ = metrics.decisions(targets, predicted, classes)
        degrees = intervals.degrees_of_freedom(targets, group)
        for metric in held:
            error = intervals.standard_error(draws[metric], len(of_group))
            low, high = intervals.interval(values[metric], error, degrees)
            held[metric] += low <= 0.6 <= high
    assert all(0.9 * trials <= count <= 0.985 * trials for count in held.values()), held
