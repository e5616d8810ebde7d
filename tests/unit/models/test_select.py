"""Entries of the config that choose: selects and grids, and what is said of wrong ones."""

import pytest

from clipfold.models.entries import plan_models

LIMITS = {"largest_size": 112, "most_frames": 16}


def planned(*entries):
    return plan_models(list(entries), **LIMITS)


def test_a_select_chooses_between_entries_and_candidates_of_its_own():
    svm, own, select = planned("svm", {"name": "any", "select": ["svm", {"architecture": "svm", "kernel": "linear"}]})
    assert (own.name, own.candidate_of, own.settings["kernel"]) == ("any__2", "any", "linear")
    assert (svm.candidate_of, select.candidate_of) == ("", "")
    assert select.settings == {"members": ["svm", "any__2"], "mix": "best", "loss": 0.01}


def test_a_grid_of_a_network_is_a_select_of_all_combinations():
    grid = {"architecture": "naive_cnn", "width": {"grid": [8, 16]}, "size": {"grid": [32, 64]}}
    *candidates, select = planned(grid)
    assert {(m.settings["width"], m.settings["size"]) for m in candidates} == {(8, 32), (8, 64), (16, 32), (16, 64)}
    assert (select.name, select.settings["members"]) == ("naive_cnn", [m.name for m in candidates])


def test_a_grid_of_a_model_on_features_stays_in_one_fit():
    (model,) = planned({"architecture": "svm", "C": {"grid": [1, 10.0]}, "class_weight": {"grid": ["balanced", None]}})
    assert model.settings["C"] == {"grid": [1, 10.0]}


def test_a_grid_within_a_select_is_a_part_of_it():
    *_, select = planned({"select": ["svm", {"architecture": "naive_cnn", "width": {"grid": [8, 16]}}]})
    assert len(select.settings["members"]) == 3


def test_candidates_are_no_members_of_an_ensemble():
    models = planned("svm", "logistic_regression", {"select": ["svm", "naive_cnn"]}, "ensemble")
    assert models[-1].settings["members"] == ["svm", "logistic_regression"]


GRID = {"architecture": "naive_cnn", "width": {"grid": [8, 16]}}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["svm", {"select": ["svm", "naive_cmn"]}], "select: select is 'naive_cmn': did you mean 'naive_cnn'"),
        (["svm", {"select": ["svm", {"architecture": "smv"}]}], "did you mean 'svm'"),
        (["svm", {"select": ["svm", "svm"]}], "name two or more candidates, each once"),
        (["svm", {"select": "svm"}], "select is 'svm': list names"),
        (["svm", {"select": ["svm", 5]}], "select is 5: use the name of an entry, or a mapping"),
        (["svm", {"select": ["svm", {"select": ["svm", "naive_cnn"]}]}], "is a select or grid itself: list its"),
        (["svm", {"select": ["svm", "naive_cnn"]}, {"name": "b", "select": ["svm", "select"]}], "is a select or grid"),
        ([GRID, {"select": ["naive_cnn", "svm"]}], "'naive_cnn': it is a select or grid itself"),
        (["svm", "naive_cnn", "ensemble", {"select": ["svm", "ensemble"]}], "'ensemble': an ensemble has learned from"),
        (
            ["svm", {"select": ["svm", "naive_cnn"], "C": 1.0}],
            "C is not a setting of a select: set it in its candidates",
        ),
        (["svm", {"select": ["svm", "naive_cnn"]}, {"architecture": "ensemble", "members": ["svm", "select"]}], "mix"),
        ([{"architecture": "naive_cnn", "wdth": {"grid": [8, 16]}}], "naive_cnn: wdth is not a setting .* 'width'"),
        ([{"architecture": "svm", "gama": {"grid": [0.1, 1]}}], "svm: gama is not a setting of svm: did you mean 'gam"),
        ([{"architecture": "svm", "C": {"grid": [1]}}], "C is {'grid': .1.}: use a value, or a grid of two or more"),
        ([{"architecture": "svm", "C": {"grid": [1, 1]}}], "two or more different ones"),
        ([{"architecture": "svm", "C": {"grid": [1, {"grid": [1, 2]}]}}], "two or more different ones"),
        ([{"architecture": "svm", "C": {"values": [1, 2]}}], "two or more different ones"),
        ([{"architecture": "svm", "C": {"grid": [1, -1]}}], "C is -1: use a positive number"),
        (
            [{"architecture": "svm", "features": {"grid": [["motion"], ["noise"]]}}],
            "name an entry for each in a select",
        ),
        ([GRID | {"refit": {"grid": [False, True]}}], "naive_cnn: refit is .*compare two entries instead"),
        ([{"architecture": "svm", "memory_mb": {"grid": [1000, 2000]}}], "memory_mb is .*: use a whole number"),
    ],
)
def test_wrong_choices_are_named(entries, message):
    with pytest.raises(ValueError, match=message):
        planned(*entries)
