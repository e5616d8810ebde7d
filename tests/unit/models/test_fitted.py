"""Models of strangers: scikit-learn's compiled code would crash, hang or fill the memory with these files."""

import zipfile

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from clipfold.models.fitted import read_fitted, write_fitted

X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.arange(60) % 3


def boosted():
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5).fit(X, Y)
    return model, model._predictors[0][0].nodes


def svm():
    model = make_pipeline(StandardScaler(), SVC(probability=True)).fit(X, Y)
    return model, model[-1]


@pytest.mark.parametrize("make", [boosted, svm])
def test_a_good_model_is_read(tmp_path, make):
    model, _ = make()
    write_fitted(tmp_path / "model.skops", model)
    assert np.array_equal(read_fitted(tmp_path / "model.skops").predict_proba(X), model.predict_proba(X))


CHILD, COLUMN = "no such child", "splits a column that is missing"
BOOSTED = [
    ("left", 1 << 30, CHILD),
    ("right", 1 << 31, CHILD),
    ("left", 0, CHILD),  # a loop: predicting would never end
    ("feature_idx", 10**9, COLUMN),
    ("feature_idx", -5, COLUMN),
    ("is_categorical", 1, "splits categories"),
    ("value", np.nan, "no usable nodes"),
]


@pytest.mark.parametrize(("field", "value", "message"), BOOSTED)
def test_a_tree_of_gradient_boosting_that_points_elsewhere_is_refused(tmp_path, field, value, message):
    model, nodes = boosted()
    nodes[field][0] = value
    write_fitted(tmp_path / "model.skops", model)
    with pytest.raises(ValueError, match=rf"model\.skops holds no usable model .*{message}"):
        read_fitted(tmp_path / "model.skops")


def test_a_tree_needs_the_columns_that_its_model_takes(tmp_path):
    model, nodes = boosted()
    nodes["feature_idx"][0] = 3
    model.n_features_in_ = 2
    write_fitted(tmp_path / "model.skops", model)
    with pytest.raises(ValueError, match=COLUMN):
        read_fitted(tmp_path / "model.skops")


@pytest.mark.parametrize(
    ("field", "value"),
    [("_probA", np.zeros(1)), ("_intercept_", np.zeros(1)), ("_dual_coef_", np.zeros((2, 3))), ("n_features_in_", 99)],
)
def test_support_vectors_of_another_shape_are_refused(tmp_path, field, value):
    model, svc = svm()
    setattr(svc, field, value)
    write_fitted(tmp_path / "model.skops", model)
    with pytest.raises(ValueError, match="support vectors has another shape"):
        read_fitted(tmp_path / "model.skops")


def test_numbers_of_support_vectors_that_do_not_add_up_are_refused(tmp_path):
    model, svc = svm()
    svc._n_support = svc._n_support + np.int32(1000)
    write_fitted(tmp_path / "model.skops", model)
    with pytest.raises(ValueError, match="do not add up"):
        read_fitted(tmp_path / "model.skops")


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", bytes(50_000_000))
    with pytest.raises(ValueError, match="unpacks to 50000000: save it without compression"):
        read_fitted(tmp_path / "model.skops")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no archive"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.skops holds no usable model"):
        read_fitted(tmp_path / "model.skops")
