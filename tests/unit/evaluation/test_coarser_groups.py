"""Groups that are too fine are noticed, and groups that are right are not."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge

from clipfold.evaluation import coarser_groups, within_folds
from clipfold.storage.files import read_json, write_table


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(coarser_groups, "RANDOM", 9)
    monkeypatch.setattr(coarser_groups, "ASSIGNMENTS", 1)


def scored(folder, places, parts, classes=2, videos=3, **given):
    """Score videos whose place decides label and look, each place in several groups; returns what is written."""
    random = np.random.default_rng(0)
    place = np.repeat(np.arange(places), parts * videos)
    label, group = place % classes, np.arange(len(place)) // videos
    looks = random.normal(size=(places, 12))[place] + random.normal(0, 0.05, (len(place), 12))
    ids = [f"v{i:03}" for i in range(len(place))]
    table = pd.DataFrame(looks, columns=[f"frame.f{i}" for i in range(12)]).assign(id=ids)
    rows = {"id": ids, "label": label.astype(str), "group": [f"g{g}" for g in group], "fold": 0, "split": "test"}
    write_table(folder / "features", pa.Table.from_pandas(table, preserve_index=False))
    write_table(folder / "splits", pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False))
    pairs = pa.table({"first": pa.array([], pa.string()), "second": pa.array([], pa.string())})
    write_table(folder / "matches", pairs)
    paths = ([folder / "features"], *(folder / name for name in ("splits", "matches", "out.json")))
    coarser_groups.score_coarser_groups(*paths, seed=0, **given)
    return read_json(folder / "out.json")


@pytest.mark.parametrize("classes", [2, 3])
def test_places_in_several_groups_are_noticed(tmp_path, few, classes):
    found = scored(tmp_path, places=16, parts=2, classes=classes)
    first = found["levels"][0]
    assert (found["groups"], first["groups"]) == (32, 16)
    assert found["score"] > 0.85
    assert first["similar"] < first["low"]
    assert first["p"] == 0.1  # the least of nine random merges
    assert found["p"] == 0.2


def test_right_groups_are_not_blamed(tmp_path, few):
    found = scored(tmp_path, places=30, parts=1)
    assert found["levels"][0]["p"] > 0.1


def test_a_few_groups_are_not_merged(tmp_path):
    assert scored(tmp_path, places=8, parts=2)["reason"] == "16 groups are too few to merge"


def test_near_duplicates_are_merged_first():
    groups = pd.Series([*"aabbcc"], index=[*"uvwxyz"])
    units = coarser_groups._joined(groups, [{"first": "u", "second": "z"}, {"first": "u", "second": "gone"}])
    assert units.tolist() == [0, 0, 1, 1, 0, 0]


def test_groups_are_drawn_where_there_are_many(monkeypatch):
    monkeypatch.setattr(coarser_groups, "MOST_VIDEOS", 10)
    groups = pd.Series(np.repeat([*"abcdefgh"], 3))
    kept = coarser_groups._some_groups(groups, np.random.default_rng(0))
    assert len(kept) == 3
    assert len(coarser_groups._some_groups(groups[:9], np.random.default_rng(0))) == 3


def test_embeddings_say_what_looks_alike(tmp_path, few):
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(72, 4, 5)).astype(np.float32))
    index = pa.table({"id": [f"v{i:03}" for i in range(72)], "row": list(range(72))})
    write_table(tmp_path / "index", index)
    embedded = {"embeddings": [tmp_path / "e.npy"], "index": [tmp_path / "index"]}
    found = scored(tmp_path, places=12, parts=2, embedded=embedded)
    assert found["looks"] == "embeddings"
    assert found["levels"][0]["p"] > 0.1  # these embeddings know nothing of the places


def test_folds_are_of_whole_groups_and_balanced():
    random = np.random.default_rng(0)
    groups = np.r_[np.arange(25), random.integers(0, 25, 475)]
    wanted = np.eye(2)[(groups + (random.random(500) < 0.2)) % 2]
    folds = coarser_groups._assigned(wanted, groups, random)
    assert all(len(set(folds[groups == group])) == 1 for group in range(25))
    shares = np.stack([wanted[folds == fold].sum(axis=0) for fold in range(5)]) / wanted.sum(axis=0)
    assert np.abs(shares - 0.2).max() < 0.05


@pytest.mark.parametrize("columns", [9, 90])
def test_ridge_is_that_of_scikit_learn(columns):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, columns)), random.normal(size=(40, 2))
    expected = Ridge(alpha=columns).fit(x[:30], y[:30]).predict(x[30:])
    turned = coarser_groups._rotated(x)
    found = coarser_groups._ridge(turned[:30], y[:30], turned[30:], columns)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_score_is_that_of_within_folds():
    random = np.random.default_rng(0)
    scores, groups = random.normal(size=100).round(1), random.integers(0, 30, 100)
    positive, folds = random.random(100) < 0.4, groups % 5
    expected = within_folds.auc(positive, scores, groups, folds)
    assert coarser_groups._auc(positive, scores, groups, folds) == pytest.approx(expected)
    assert np.isnan(coarser_groups._auc(positive, scores, np.zeros(100), folds))
