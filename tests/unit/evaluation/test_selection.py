"""The best of many models: its value is corrected for the choice, and the ledger counts the tries."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from clipfold.evaluation import intervals, ledger, within_folds
from clipfold.evaluation.measure import Measured
from clipfold.evaluation.pooling import Pooled
from clipfold.evaluation.selection import best_of_many

KEY = "", "", "roc_auc_within"


def models(random, number, groups=15, skill=0.0, classes=2, share=0.5):
    """Draw the predictions of equally good models, whose errors share a part, on groups of five videos."""
    group = np.repeat(np.arange(groups), 5)
    targets = random.integers(0, classes, len(group)) if share == 0.5 else (random.random(len(group)) < share) + 0
    table = pd.DataFrame({"id": [f"v{i:03}" for i in range(len(group))], "label": targets.astype(str)})
    table = table.assign(repeat=0, fold=group % 5, model="")
    shared = random.normal(size=(len(group), classes))
    found = {}
    for model in range(number):
        logits = skill * np.eye(classes)[targets] + shared + random.normal(size=shared.shape)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        own = table.assign(**{f"p_{c}": probabilities[:, c] for c in range(classes)})
        found[f"m{model}"] = Pooled(own, own, targets, group, probabilities, probabilities, None)
    return found


def corrected(found, key, seed=0, training=0.0, chance=0.0):
    pooled = next(iter(found.values()))
    counts = intervals.draw(int(pooled.groups.max()) + 1, seed, 100)
    value = {name: float(headline_of(own, key, np.ones((1, counts.shape[1])))[0]) for name, own in found.items()}
    measured = {
        name: Measured(own, {key: value[name]}, {key: headline_of(own, key, counts)}, {}, {key: chance})
        for name, own in found.items()
    }
    degrees = intervals.degrees_of_freedom(pooled.targets, pooled.groups)
    return max(value.values()), best_of_many(measured, key, counts, degrees, training)


def headline_of(pooled, key, counts):
    targets, classes = pooled.targets, pooled.probabilities.shape[1]
    if key == KEY:
        scores = pooled.probabilities[:, 1]
        return within_folds.smoothed(targets == 1, scores, pooled.groups, pooled.folds, counts)
    return intervals.decisions(targets, pooled.predicted, pooled.groups, counts, classes)[0]["balanced_accuracy"]


@pytest.mark.parametrize(("key", "classes"), [(KEY, 2), (("", "argmax", "balanced_accuracy"), 3)])
def test_the_best_of_many_equal_models_is_corrected_to_about_their_worth(key, classes):
    random, found = np.random.default_rng(0), []
    for seed in range(20):
        best, (value, low, high) = corrected(models(random, 8, classes=classes), key, seed)
        found.append([best - 1 / classes, value - 1 / classes, low <= 1 / classes <= high])
    best, value, held = np.mean(found, axis=0)
    assert best > 0.05
    assert abs(value) < 0.025
    assert held > 0.9


def test_the_order_of_models_that_are_equally_good_on_a_draw_changes_nothing():
    random, number = np.random.default_rng(0), 0
    while number < 3:
        found = models(random, 8, skill=0.7, share=0.06)  # few positives, so that many draws tie
        if found["m0"].targets.sum() < 4:
            continue
        number += 1
        ranked = sorted(found, key=lambda name: float(headline_of(found[name], KEY, np.ones((1, 15)))[0]))
        worst_first, best_first = (
            corrected({name: found[name] for name in order}, KEY, number)[1] for order in (ranked, ranked[::-1])
        )
        assert not np.isnan(worst_first).any()
        assert worst_first == pytest.approx(best_first)


def test_luck_in_training_adds_to_the_correction_as_to_the_standard_error():
    found = models(np.random.default_rng(0), 8)
    best, (tested, *_) = corrected(found, KEY)
    _, (trained, *_) = corrected(found, KEY, training=0.44)
    assert best - trained == pytest.approx(1.2 * (best - tested))
    _, (started, *_) = corrected(found, KEY, training=0.44, chance=0.01)
    assert started < trained - 0.01


def test_a_clear_winner_keeps_its_value():
    random = np.random.default_rng(1)
    found = models(random, 4, groups=40)
    probabilities = np.eye(2)[found["m2"].targets] * 0.3 + found["m2"].probabilities * 0.7
    found["m2"] = replace(found["m2"], probabilities=probabilities)
    best, (value, low, high) = corrected(found, KEY)
    assert value == pytest.approx(best, abs=0.01)
    assert low < value < high


def test_the_ledger_counts_each_model_once_and_each_test_set_for_itself(tmp_path):
    path, random = tmp_path / "ledger.json", np.random.default_rng(0)
    first, second = models(random, 3), models(random, 2)  # other labels: other test videos
    values = dict.fromkeys(first, 0.5)
    assert ledger.enter(path, first, "roc_auc_within", values) == (3, 0)
    assert ledger.enter(path, first, "roc_auc_within", values) == (3, 0)
    renamed = {"other": first["m0"], "m1": models(np.random.default_rng(9), 1)["m0"]}
    renamed["m1"] = replace(renamed["m1"], table=first["m1"].table.assign(p_0=0.5, p_1=0.5))
    assert ledger.enter(path, renamed, "roc_auc_within", {"other": 0.5, "m1": float("nan")}) == (4, 0)
    assert ledger.enter(path, second, "roc_auc_within", values) == (2, 4)


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '[{"test": 1}]'])
def test_a_broken_ledger_is_named(tmp_path, content):
    path = tmp_path / "ledger.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"ledger\.json is not a ledger of scored models: move it away"):
        ledger.enter(path, models(np.random.default_rng(0), 1), "roc_auc_within", {"m0": 0.5})
