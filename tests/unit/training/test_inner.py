"""Inner folds: what they choose, and that neither test videos nor videos of the same group have a part in it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from clipfold.models.entries import plan_models
from clipfold.models.fitted import class_probabilities, read_fitted
from clipfold.storage.files import read_json, read_table, write_table
from clipfold.training.final import FinalTask
from clipfold.training.final_on_features import fit as fit_finally
from clipfold.training.inner import inner_folds
from clipfold.training.on_features import fit
from clipfold.training.task import Task

VIDEOS, GROUPS = 120, 24


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 3))
def test_inner_folds_keep_groups_together_and_predict_each_video_once(seed, number, classes):
    random = np.random.default_rng(seed)
    groups = random.integers(0, number, 40)
    targets = np.r_[np.arange(classes), random.integers(0, classes, 40 - classes)]
    given_split = random.random(40) < 0.2
    folds = inner_folds(targets, groups, given_split)
    for fitted, held in folds:
        assert not set(fitted) & set(held)
    if len(folds) > 1:
        assert sorted(np.concatenate([held for _, held in folds])) == [*range(40)]
        for fitted, held in folds:
            assert not set(groups[fitted]) & set(groups[held])
            assert len(np.unique(targets[fitted])) == classes
    else:
        np.testing.assert_array_equal(folds[0][1], np.flatnonzero(given_split))


def write_table_of_features(folder, signal=1.0, test_shift=0.0):
    """Thirty columns of which one tells the class; in each group, all videos share a column that has their class."""
    random = np.random.default_rng(3)
    group = np.arange(VIDEOS) % GROUPS
    target = (group // 2) % 2
    x = random.normal(size=(VIDEOS, 30))
    x[:, 0] += signal * target
    x[:, 1] = group  # groups could be learned by heart
    split = np.where(group < 4, "test", np.where(group < 8, "val", "train"))
    x[split == "test"] += test_shift
    ids = [f"v{i:03}" for i in range(VIDEOS)]
    columns = {f"motion.c{i}": x[:, i] for i in range(x.shape[1])}
    columns |= {f"noise.n{i}": random.normal(size=VIDEOS) for i in range(10)}
    write_table(folder / "x.parquet", pa.Table.from_pandas(pd.DataFrame({"id": ids} | columns), preserve_index=False))
    labels = np.array(["a", "b"])[target]
    rows = pd.DataFrame({"id": ids, "label": labels, "group": group.astype(str), "fold": 0, "split": split})
    write_table(folder / "splits.parquet", pa.Table.from_pandas(rows.assign(repeat=0), preserve_index=False))


def task(folder, kind=Task, architecture="logistic_regression", **settings):
    entry = {"architecture": architecture, "features": ["motion"]} | settings
    (model,) = plan_models([entry], largest_size=1, most_frames=1)
    outputs = {name: folder / name for name in ("model", "history", "predictions", "record")}
    given_by = {"fold": 0} if kind is Task else {"records": [folder / "record"], "histories": []}
    return kind(
        module=model.module,
        settings=model.settings,
        data={"features": [folder / "x.parquet"]},
        splits=folder / "splits.parquet",
        outputs=outputs,
        seed=0,
        threads=1,
        scratch=folder,
        stored_size=1,
        **given_by,
    )


def fitted(folder, **settings):
    folder.mkdir(exist_ok=True)
    fit(task(folder, **settings))
    return read_json(folder / "record"), read_table(folder / "predictions").to_pandas().set_index("id")


def test_the_grid_is_chosen_without_the_test_videos_and_recorded(tmp_path):
    for name, shift in (("one", 0.0), ("two", 5.0)):
        (tmp_path / name).mkdir()
        write_table_of_features(tmp_path / name, test_shift=shift)
    record, predictions = fitted(tmp_path / "one", C={"grid": [1e-6, 0.01, 1.0]})
    other, _ = fitted(tmp_path / "two", C={"grid": [1e-6, 0.01, 1.0]})
    assert record["inner_folds"] == 5
    losses = {each["C"]: each["loss"] for each in record["tried"]}
    assert record["chosen"] == {"C": min(losses, key=losses.get)}
    assert record["chosen"] != {"C": 1e-6}
    assert (record["chosen"], record["tried"]) == (other["chosen"], other["tried"])
    assert predictions.split.value_counts().to_dict() == {"train": 80, "val": 20, "test": 20}


def test_out_of_fold_predictions_are_those_of_fits_that_have_not_seen_the_group(tmp_path):
    write_table_of_features(tmp_path, signal=0.0)  # nothing but groups to learn by heart
    _, predictions = fitted(tmp_path, architecture="gradient_boosting", max_iter=20)
    own = predictions[predictions.split != "test"]
    table = read_table(tmp_path / "x.parquet").to_pandas().set_index("id").loc[own.index].filter(like="motion")
    seen = class_probabilities(read_fitted(tmp_path / "model"), table.to_numpy(), 2)[:, 1]
    assert roc_auc_score(own.label == "b", seen) > 0.95  # the model has learned from train and val
    assert roc_auc_score(own.label == "b", own.p_b) < 0.75


def test_an_svm_is_calibrated_by_the_inner_folds(tmp_path):
    write_table_of_features(tmp_path, signal=2.0)
    fitted(tmp_path, architecture="svm", C=1.0)
    model = read_fitted(tmp_path / "model")[-1]
    assert model.slope_ != 1
    assert model.intercept_.sum() == pytest.approx(0)


def test_a_feature_ensemble_weighs_groups_by_what_they_tell_out_of_fold(tmp_path):
    write_table_of_features(tmp_path, signal=2.0)
    record, predictions = fitted(tmp_path, architecture="feature_ensemble", features=["motion", "noise"])
    weights = record["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["noise"] < 0.2 < weights["motion"]
    assert record["chosen"].keys() == weights.keys() == {"motion", "noise", "all"}
    assert len(record["tried"]) == 3 * 4
    tested = predictions[predictions.split == "test"]
    x = read_table(tmp_path / "x.parquet").to_pandas().set_index("id").loc[tested.index]
    found = class_probabilities(read_fitted(tmp_path / "model"), x.to_numpy(), 2)
    np.testing.assert_array_equal(found, tested[["p_a", "p_b"]])


def test_the_final_fit_chooses_anew_and_learns_from_all_videos(tmp_path):
    write_table_of_features(tmp_path)
    fitted(tmp_path, C={"grid": [1e-6, 0.01]})
    (tmp_path / "predictions").unlink()
    fit_finally(task(tmp_path, FinalTask, C={"grid": [1e-6, 0.01]}))
    record = read_json(tmp_path / "record")
    assert (record["fold"], record["train_videos"], record["chosen"]) == (None, VIDEOS, {"C": 0.01})
    assert not (tmp_path / "predictions").exists()
