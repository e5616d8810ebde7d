"""Check metrics against direct calls of scikit-learn, and edge cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn import metrics as reference

from clipfold.evaluation import metrics


def random_case(seed: int, classes: int, videos: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Draw targets with every class, and probabilities with ties."""
    random = np.random.default_rng(seed)
    targets = np.r_[np.arange(classes), random.integers(0, classes, videos - classes)]
    probabilities = np.round(random.dirichlet(np.ones(classes), videos), 1) + 0.01
    return targets, probabilities / probabilities.sum(axis=1, keepdims=True)


def equal_error(positive: np.ndarray, scores: np.ndarray) -> float:
    """Compute the equal error rate by root finding on the interpolated ROC curve, as is usual."""
    false, true, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
    return brentq(lambda x: 1 - x - np.interp(x, false, true), 0, 1, xtol=1e-12)


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Compute the calibration error literally as in Guo et al. 2017, for two classes as in Naeini et al. 2015."""
    binary = p.shape[1] == 2
    total = 0.0
    for k in range(15):
        scores = p[:, 1] if binary else p.max(axis=1)
        inside = (scores > k / 15) & (scores <= (k + 1) / 15)
        if inside.any():
            hits = y[inside] == (1 if binary else p[inside].argmax(axis=1))
            total += inside.sum() / len(y) * abs(hits.mean() - scores[inside].mean())
    return total


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.integers(2, 5), st.integers(0, 1000))
def test_decisions_agree_with_scikit_learn(seed, classes, other):
    y, _ = random_case(seed, classes)
    predicted = np.random.default_rng(other).integers(0, classes, len(y))
    overall, each = metrics.decisions(y, predicted, classes)
    assert overall["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, predicted))
    assert overall["mcc"] == pytest.approx(reference.matthews_corrcoef(y, predicted))
    f1 = reference.f1_score(y, predicted, average=None, labels=range(classes))
    assert [own["f1"] for own in each] == pytest.approx(list(f1))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_overall_agrees_with_scikit_learn(seed, classes):
    y, p = random_case(seed, classes)
    found, predicted = metrics.overall(y, p), p.argmax(axis=1)
    assert found["accuracy"] == reference.accuracy_score(y, predicted)
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, predicted))
    for name in ("precision", "recall", "f1"):
        score = getattr(reference, f"{name}_score")(y, predicted, average="macro", zero_division=0)
        assert found[f"macro_{name}"] == pytest.approx(score)
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(y, predicted))
    assert found["eer"] == pytest.approx(np.mean([equal_error(y == c, p[:, c]) for c in metrics.positives(classes)]))
    assert found["ece"] == pytest.approx(calibration_error(y, p))
    assert found["log_loss"] == pytest.approx(reference.log_loss(y, p))
    scores = p[:, 1] if classes == 2 else p
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(y, scores, multi_class="ovr"))
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(y, scores))
    squares = ((p - np.eye(classes)[y]) ** 2).sum(axis=1).mean()
    assert found["brier"] == pytest.approx(squares / 2 if classes == 2 else squares)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_per_class_agrees_with_scikit_learn(seed, classes):
    y, p = random_case(seed, classes)
    for c, found in enumerate(metrics.compute(y, p)[1]):
        positive, predicted = y == c, p.argmax(axis=1) == c
        assert found["precision"] == reference.precision_score(positive, predicted, zero_division=0)
        assert found["recall"] == reference.recall_score(positive, predicted)
        assert found["f1"] == pytest.approx(reference.f1_score(positive, predicted))
        assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(positive, p[:, c]), rel=1e-12)
        assert found["support"] == positive.sum()


def test_the_last_of_two_classes_is_positive():
    y, p = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8]])
    assert metrics.overall(y, p)["roc_auc"] == 1
    assert metrics.overall(1 - y, p)["roc_auc"] == 0


def test_equal_scores_count_half():
    assert metrics.overall(np.array([0, 1]), np.full((2, 2), 0.5))["roc_auc"] == 0.5


def test_means_over_classes_skip_absent_ones():
    y, p = np.array([0, 0, 2]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    found = metrics.overall(y, p)
    assert found["roc_auc"] == pytest.approx(np.mean([reference.roc_auc_score(y == c, p[:, c]) for c in (0, 2)]))
    assert found["average_precision"] == pytest.approx(
        np.mean([reference.average_precision_score(y == c, p[:, c]) for c in (0, 2)])
    )
    assert found["balanced_accuracy"] == 0.75  # over the two classes present
    absent = metrics.compute(y, p)[1][1]
    assert absent.pop("support") == 0
    assert all(np.isnan(value) for value in absent.values())


def test_float32_probabilities_raise_no_warning(recwarn):
    y, p = random_case(0, 3)
    metrics.overall(y, p.astype(np.float32).astype(np.float64))
    assert not recwarn


def test_a_fold_of_a_single_class_raises_no_warning(recwarn):
    found = metrics.overall(np.array([1, 1]), np.array([[0.2, 0.8], [0.1, 0.9]]))
    assert (found["accuracy"], found["mcc"]) == (1, 0)
    assert np.isnan(found["roc_auc"])
    assert not recwarn


def test_perfect_and_all_wrong_predictions_reach_the_bounds():
    y = np.array([0, 0, 1, 1])
    right, wrong = metrics.overall(y, np.eye(2)[y]), metrics.overall(y, np.eye(2)[1 - y])
    assert [right[name] for name in ("mcc", "eer", "ece", "brier")] == [1, 0, 0, 0]
    assert [wrong[name] for name in ("mcc", "eer", "ece", "brier")] == [-1, 1, 1, 1]
    for name, value in (right | wrong).items():
        low, high = metrics.bounds(name, 2)
        assert low <= value <= high


def test_confusion_has_true_classes_as_rows_and_all_classes():
    p = np.eye(3)[[0, 1, 1]]
    assert metrics.confusion(np.array([0, 0, 1]), p).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
