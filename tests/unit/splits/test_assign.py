"""Test every split scheme: whole groups, each video tested once, little movement when a video is added."""

import logging
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from clipfold.settings import SplitSettings
from clipfold.splits.assign import _StratifiedGroupKFold, assign, assign_stably

GROUPED = ("grouped", "stable", "leave_one_group_out")
VIDEOS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=12, max_size=60)


def many(count, groups, seed=0):
    """Draw labels, a third of them `a`, and groups of unequal size."""
    random = np.random.default_rng(seed)
    sizes = random.dirichlet(np.full(groups, 2.0))
    labels = ["ab"[int(draw > 0.3)] for draw in random.random(count)]
    return labels, [f"g{group}" for group in random.choice(groups, count, p=sizes)]


@given(VIDEOS, st.integers(0, 9), st.sampled_from(GROUPED))
def test_no_group_is_torn_and_every_video_is_tested_once(videos, seed, scheme):
    labels, groups = [label for label, _ in videos], [f"g{group}" for _, group in videos]
    try:
        folds = assign(labels, groups, SplitSettings(scheme=scheme, folds=3), seed)
    except ValueError:
        return  # too few groups, or too few of one class
    for splits in folds:
        parts = defaultdict(set)
        for group, split in zip(groups, splits, strict=True):
            parts[group].add(split)
        assert all(len(part) == 1 for part in parts.values())
        assert {label for label, split in zip(labels, splits, strict=True) if split == "train"} == set(labels)
        assert set(splits) == {"train", "val", "test"}
    assert all(splits.count("test") == 1 for splits in zip(*folds, strict=True))


def test_grouped_folds_are_those_of_scikit_learn():
    labels, groups = many(200, 30)
    folds = assign(labels, groups, SplitSettings(), 3)
    expected = StratifiedGroupKFold(5, shuffle=True, random_state=3).split(labels, labels, groups)
    for splits, (_, test) in zip(folds, expected, strict=True):
        assert np.flatnonzero(np.array(splits) == "test").tolist() == test.tolist()


def test_repeats_differ_and_the_first_stays():
    labels, groups = many(120, 30)
    once, thrice = (assign(labels, groups, SplitSettings(folds=3, repeats=n), 5) for n in (1, 3))
    assert thrice[:3] == once
    assert len(thrice) == 9
    tests = [[i for i, split in enumerate(splits) if split == "test"] for splits in thrice]
    assert len({tuple(test) for test in tests}) == 9
    for repeat in range(3):
        assert sorted(i for test in tests[3 * repeat : 3 * repeat + 3] for i in test) == list(range(120))


def test_leave_one_group_out_tests_each_group_alone():
    labels, groups = many(60, 8)
    folds = assign(labels, groups, SplitSettings(scheme="leave_one_group_out"), 0)
    tested = [{g for g, split in zip(groups, splits, strict=True) if split == "test"} for splits in folds]
    assert tested == [{group} for group in sorted(set(groups))]


def test_random_folds_tear_groups_and_test_everyone_once():
    labels, groups = many(100, 10)
    folds = assign(labels, groups, SplitSettings(scheme="random"), 0)
    assert all(splits.count("test") == 1 for splits in zip(*folds, strict=True))
    torn = {g for g in groups if len({r for g2, r in zip(groups, folds[0], strict=True) if g2 == g}) > 1}
    assert len(torn) > len(set(groups)) / 2


def test_a_given_split_is_kept_and_gets_a_val_split_if_it_has_none():
    labels, groups = many(80, 20)
    given = ["test" if int(group[1:]) < 5 else "train" for group in groups]
    (splits,) = assign(labels, groups, SplitSettings(scheme="column"), 0, given)
    assert [split == "test" for split in splits] == [split == "test" for split in given]
    assert 0 < splits.count("val") < 40
    assert {g for g, r in zip(groups, splits, strict=True) if r == "val"}.isdisjoint(
        g for g, r in zip(groups, splits, strict=True) if r == "train"
    )
    full = ["val" if int(group[1:]) == 7 else split for group, split in zip(groups, given, strict=True)]
    assert assign(labels, groups, SplitSettings(scheme="column"), 0, full) == [full]


@pytest.mark.parametrize(("videos", "groups", "most"), [(120, 23, 0.1), (500, 500, 0.02), (2000, 300, 0.02)])
def test_an_added_video_moves_few_others_to_another_test_split_under_the_stable_scheme(videos, groups, most):
    labels, own = many(videos, groups)
    settings = SplitSettings(scheme="stable")
    tested, any_split = [], []
    for seed in range(6):
        before = np.array(assign(labels, own, settings, seed))
        for joined in (own[0], "a group of its own"):
            after = np.array(assign([*labels, "a"], [*own, joined], settings, seed))[:, :-1]
            tested.append(((before == "test") != (after == "test")).any(axis=0).mean())
            any_split.append((before != after).any(axis=0).mean())
    assert np.mean(tested) < most
    assert np.mean(any_split) < 0.25  # in any of the five folds, for instance from train to val


def test_stable_folds_are_as_balanced_as_scikit_learns():
    labels, groups = many(600, 80)
    y = np.array(labels)

    def worst(tests):
        return max(abs((y[test] == c).sum() / (y == c).sum() - 0.2) for test in tests for c in "ab")

    for seed in range(5):
        part = assign_stably(y, np.array(groups), 5, seed)
        theirs = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        assert worst(np.flatnonzero(part == k) for k in range(5)) <= worst(test for _, test in theirs) + 0.02


def test_the_order_of_videos_does_not_matter_to_stable_folds():
    labels, groups = many(90, 20)
    order = np.random.default_rng(1).permutation(90)
    part = assign_stably(np.array(labels), np.array(groups), 4, 0)
    assert (assign_stably(np.array(labels)[order], np.array(groups)[order], 4, 0) == part[order]).all()


def test_a_class_of_two_keeps_one_to_train_with():
    labels, groups = list("aaabbb"), [f"g{i}" for i in range(6)]
    for seed in range(20):
        for splits in assign(labels, groups, SplitSettings(folds=2, validation=0.5), seed):
            assert {label for label, split in zip(labels, splits, strict=True) if split == "train"} == {"a", "b"}


@pytest.mark.parametrize("scheme", ["grouped", "stable", "random"])
def test_a_class_too_small_for_every_fold_is_logged(scheme, caplog):
    labels, groups = ["a"] * 30 + ["rare"] * 3, [f"g{i}" for i in range(33)]
    with caplog.at_level(logging.WARNING):
        folds = assign(labels, groups, SplitSettings(scheme=scheme), 0)
    without = [str(f) for f, splits in enumerate(folds) if "test" not in splits[30:]]
    assert len(without) >= 2
    expected = f"class 'rare' is too small for every fold: the test split of fold {', '.join(without)} has none of it"
    assert expected in caplog.text
    assert all("train" in splits[30:] for splits in folds)


def test_classes_smaller_than_the_number_of_folds_are_assigned_without_strata(caplog):
    labels, groups = list("aaabbbccc"), [f"g{i}" for i in range(9)]
    with caplog.at_level(logging.WARNING):
        folds = assign(labels, groups, SplitSettings(folds=4), 0)
    assert "no class has 4 videos, one per part: parts are assigned by group alone" in caplog.text
    assert all(splits.count("test") == 1 for splits in zip(*folds, strict=True))


def test_a_class_in_one_group_cannot_be_assigned():
    labels, groups = ["a"] * 12 + ["b"] * 4, [f"g{i}" for i in range(12)] + ["one"] * 4
    with pytest.raises(ValueError, match=r"fold \d has no 'b' in train: the class has too few groups"):
        assign(labels, groups, SplitSettings(folds=3), 0)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_folds_are_those_of_scikit_learn(classes):
    random = np.random.default_rng(classes)
    for seed, parts in enumerate((2, 5, 7, 10)):
        groups = random.zipf(1.5, 400).clip(max=60)
        y = (groups + random.integers(0, classes, 400) // 2) % classes
        ours, theirs = (
            [test.tolist() for _, test in kind(n_splits=parts, shuffle=True, random_state=seed).split(y, y, groups)]
            for kind in (_StratifiedGroupKFold, StratifiedGroupKFold)
        )
        assert ours == theirs
