"""A shortcut is scored by the kind of model that suits it, chosen by whole groups of the training part alone."""

import numpy as np
import pytest

from clipfold.models.architectures import linear_or_trees
from clipfold.models.entries import plan_models, plan_shortcuts
from clipfold.training.inner import Rows, choose, inner_folds


@pytest.mark.parametrize(("shape", "expected"), [(np.sign, "linear"), (np.square, "trees")])
def test_the_kind_that_suits_is_chosen(shape, expected):
    x = np.random.default_rng(0).normal(size=(120, 1))
    targets, groups = (shape(x[:, 0]) > 0.5).astype(int), np.arange(120) // 3
    rows = Rows(x, targets, groups, 2, inner_folds(targets, groups, np.zeros(120, bool)))
    (settings,) = {str(model.settings | {"features": []}): model.settings for model in plan_shortcuts()}.values()
    chosen = choose(lambda own: linear_or_trees.build(own, 0), settings, rows)
    assert chosen.settings["kind"] == expected
    assert [tried["kind"] for tried in chosen.tried] == ["linear", "trees"]


def test_images_have_the_shortcuts_that_make_sense():
    names = [model.name for model in plan_shortcuts(modality="image")]
    assert names == ["shortcut_container", "shortcut_brightness", "shortcut_colour", "shortcut_mean_frame"]


def test_no_model_takes_the_name_of_a_baseline():
    with pytest.raises(ValueError, match="shortcut_ begins the names of baselines"):
        plan_models([{"architecture": "svm", "name": "Shortcut_x"}], largest_size=1, most_frames=1)
