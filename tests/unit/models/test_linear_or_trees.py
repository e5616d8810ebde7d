"""A shortcut is scored by the kind of model that suits it, chosen by whole groups of the training split alone."""

import numpy as np
import pytest

from clipfold.models.architectures import linear_or_trees
from clipfold.models.catalog import plan_models, plan_shortcuts
from clipfold.models.fitted import read_fitted, write_fitted

SETTINGS = {"features": ["sound"], "class_weight": "balanced"}


def fitted(x, targets, groups):
    model = linear_or_trees.build(SETTINGS, 0)
    linear_or_trees.fit(model, x, targets, groups)
    return model


def kind(model):
    return type(model["kind"][-1]).__name__


@pytest.mark.parametrize(("shape", "expected"), [(np.sign, "LogisticRegression"), (np.square, "HistGradient")])
def test_the_kind_that_suits_is_chosen_and_loads_back(shape, expected, tmp_path):
    x = np.random.default_rng(0).normal(size=(120, 1))
    model = fitted(x, (shape(x[:, 0]) > 0.5).astype(int), np.arange(120) // 3)
    assert kind(model).startswith(expected)
    write_fitted(tmp_path / "model.skops", model)
    np.testing.assert_array_equal(read_fitted(tmp_path / "model.skops").predict_proba(x), model.predict_proba(x))


def test_groups_are_kept_together_when_it_chooses(monkeypatch):
    seen = []
    monkeypatch.setattr(linear_or_trees, "_ranking", lambda kind, x, targets, inner: seen.extend(inner) or 0.5)
    group = np.repeat(np.arange(12), 5)
    assert kind(fitted(np.ones((60, 1)), group % 2, group)) == "LogisticRegression"  # of equals, the simpler one
    assert len(seen) == 2 * 5
    assert all(not {*group[train]} & {*group[test]} for train, test in seen)


@pytest.mark.parametrize("classes", [2, 3])
def test_one_group_per_class_leaves_nothing_to_choose_by(classes):
    targets = np.arange(60) % classes
    model = fitted(targets[:, None] * 9.0, targets, targets)
    assert kind(model) == "LogisticRegression"
    assert (model.predict(targets[:, None] * 9.0) == targets).all()


def test_images_have_the_shortcuts_that_make_sense():
    names = [model.name for model in plan_shortcuts(modality="image")]
    assert names == ["shortcut_container", "shortcut_brightness", "shortcut_colour", "shortcut_mean_frame"]


def test_no_model_takes_the_name_of_a_baseline():
    with pytest.raises(ValueError, match="shortcut_ begins the names of baselines"):
        plan_models([{"architecture": "svm", "name": "Shortcut_x"}], largest_size=1, most_frames=1)
