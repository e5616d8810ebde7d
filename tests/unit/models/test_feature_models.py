import numpy as np
import pytest
import skops.io

from clipfold.models.architectures import svm
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.entries import plan_models
from clipfold.models.fitted import TRUSTED, class_probabilities, each_training, read_fitted, write_fitted

ON_FEATURES = [name for name, architecture in ARCHITECTURES.items() if architecture.input == "features"]


def build(name, **settings):
    import importlib

    fixed = {"C": 1.0} if "C" in ARCHITECTURES[name].declared else {}
    (model,) = plan_models([{"architecture": name} | fixed | settings], largest_size=1, most_frames=1)
    return importlib.import_module(model.module).build(model.settings, seed=0)


def rows(classes, seed=0):
    """Features of which the first tells the class, with missing values and a column that is missing throughout."""
    random = np.random.default_rng(seed)
    y = np.arange(60) % classes
    x = random.normal(size=(60, 6))
    x[:, 0] += 5 * y
    x[random.random(x.shape) < 0.05] = np.nan
    x[:, 5] = np.nan
    return x, y


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("name", ON_FEATURES)
def test_learns_any_number_of_classes_and_loads_back_with_few_trusted_types(name, classes, tmp_path):
    x, y = rows(classes)
    model = build(name).fit(x, y)
    probabilities = model.predict_proba(x)
    assert (probabilities.argmax(1) == y).mean() > 0.75
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    write_fitted(tmp_path / "model.skops", model)
    assert set(skops.io.get_untrusted_types(file=tmp_path / "model.skops")) <= set(TRUSTED)
    np.testing.assert_array_equal(read_fitted(tmp_path / "model.skops").predict_proba(x), probabilities)


@pytest.mark.parametrize("class_weight", ["balanced", None])
def test_a_multilayer_perceptron_of_several_seeds_is_the_mean_of_them(class_weight, tmp_path):
    x, y = rows(3)
    y = np.where(y == 1, 3, y)  # of four classes, one is not in the training data
    model = build("feature_mlp", seeds=3, class_weight=class_weight).fit(x, y)
    write_fitted(tmp_path / "model.skops", model)
    loaded = read_fitted(tmp_path / "model.skops")
    each = each_training(loaded, x, 4)
    assert each.shape == (3, 60, 4)
    np.testing.assert_allclose(each.mean(axis=0), class_probabilities(loaded, x, 4))
    np.testing.assert_array_equal(
        each[0][:, [0, 2, 3]], build("feature_mlp", class_weight=class_weight).fit(x, y).predict_proba(x)
    )
    assert not np.allclose(each[0], each[1])
    assert set(skops.io.get_untrusted_types(file=tmp_path / "model.skops")) <= set(TRUSTED)


@pytest.mark.parametrize("name", ["feature_mlp", "gradient_boosting"])
def test_the_same_seed_gives_the_same_model(name):
    x, y = rows(2)
    first, second = (build(name).fit(x, y).predict_proba(x) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["feature_mlp", "gradient_boosting"])
def test_balanced_classes_weigh_the_same_whatever_their_number(name):
    x = np.random.default_rng(0).normal(size=(200, 2)).round(1) * 1e-6  # nothing to learn from: only the prior is left
    y = (np.arange(200) < 20).astype(int)
    settings = {"alpha": 1e4} if name == "feature_mlp" else {"min_samples_leaf": 200}
    balanced = build(name, **settings).fit(x, y).predict_proba(x)[:, 1].mean()
    as_found = build(name, class_weight=None, **settings).fit(x, y).predict_proba(x)[:, 1].mean()
    assert balanced == pytest.approx(0.5, abs=0.02)
    assert as_found == pytest.approx(0.1, abs=0.02)


def test_boosting_takes_missing_values_as_they_are():
    x, y = np.full((60, 1), np.nan), np.arange(60) % 2
    x[y == 1] = 1.0  # only whether the value is there tells the class
    assert (build("gradient_boosting").fit(x, y).predict(x) == y).all()


@pytest.mark.parametrize("settings", [{"scaling": "ranks"}, {"keep": 0.3}, {"keep": 0.3, "scaling": "ranks"}])
def test_scaling_and_selection_take_missing_and_constant_columns_and_load_back(settings, tmp_path):
    x, y = rows(2)
    x[:, 4] = 3.0
    model = build("logistic_regression", **settings).fit(x, y)
    assert (model.predict(x) == y).mean() > 0.9
    write_fitted(tmp_path / "model.skops", model)
    assert set(skops.io.get_untrusted_types(file=tmp_path / "model.skops")) <= set(TRUSTED)
    np.testing.assert_array_equal(read_fitted(tmp_path / "model.skops").predict_proba(x), model.predict_proba(x))


def test_ranks_ignore_how_far_an_outlier_is():
    x, y = rows(2)
    near, far = np.nan_to_num(x), np.nan_to_num(x)
    near[0, 1], far[0, 1] = 50, 1e9
    first, second = (
        build("logistic_regression", scaling="ranks").fit(each, y).predict_proba(each) for each in (near, far)
    )
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_the_columns_that_separate_are_kept():
    x, y = rows(2)
    model = build("logistic_regression", keep=0.2).fit(x, y)
    assert model.named_steps["selectpercentile"].get_support().tolist() == [True, *[False] * 5]


def test_calibration_of_the_svm_never_turns_its_ranking_over():
    x, y = rows(2)
    model = build("svm").fit(x, y)
    before = model.predict_proba(x)[:, 1]
    svm.calibrate(model, 0.3, np.array([0.7, -0.7]))
    after = model.predict_proba(x)[:, 1]
    np.testing.assert_allclose(np.log(after / (1 - after)), 0.3 * np.log(before / (1 - before)) - 1.4)


@pytest.mark.parametrize(("classes", "kernel"), [(2, "rbf"), (2, "linear"), (3, "rbf")])
def test_decision_values_of_the_svm_are_those_of_libsvm(classes, kernel, monkeypatch):
    """Also in parts, and with outliers."""
    monkeypatch.setattr(svm, "_AT_ONCE", 100)
    x, y = rows(classes)
    x[:3] *= 1e4
    model = build("svm", kernel=kernel).fit(x, y)
    ready = model[:-1].transform(x)
    found, library = svm._decision(model[-1].svc, ready), model[-1].svc.decision_function(ready)
    np.testing.assert_allclose(found[:, 1] if classes == 2 else found, library, rtol=1e-9, atol=1e-9)


def test_an_svm_fits_on_a_limited_number_of_videos_with_all_of_a_rare_class():
    x, y = np.tile(rows(2)[0], (10, 1)), np.zeros(600, int)
    y[::60] = 1
    x[y == 1, 0] += 20
    few, every = build("svm", most_videos=100).fit(x, y), build("svm", most_videos=0).fit(x, y)
    assert (few[-1].svc.shape_fit_[0], every[-1].svc.shape_fit_[0]) == (100, 600)
    assert np.bincount(y[svm.draw(y, 100, seed=0)]).tolist() == [90, 10]
    np.testing.assert_array_equal(few.predict(x), y)
    again, other = (svm.draw(y, 100, seed=seed).tolist() for seed in (0, 1))
    assert svm.draw(y, 100, seed=0).tolist() == again != other
