import numpy as np
import pytest
import skops.io
from sklearn.metrics import log_loss, roc_auc_score

from clipfold.models.architectures import svm
from clipfold.models.catalog import ARCHITECTURES, plan_models
from clipfold.models.fitted import TRUSTED, class_probabilities, each_training, read_fitted, write_fitted

ON_FEATURES = [name for name, architecture in ARCHITECTURES.items() if architecture.input == "features"]


def build(name, **settings):
    import importlib

    (model,) = plan_models([{"architecture": name} | settings], largest_size=1, most_frames=1)
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


def in_groups(random, groups, signal):
    """Features of five videos per group, which share most of their noise and, in half of the groups, the label."""
    group = np.repeat(np.arange(groups), 5)
    y = np.where(group % 2, group // 2 % 2, random.integers(0, 2, len(group)))
    noise = 1.5 * random.normal(size=(groups, 8))[group] + 0.5 * random.normal(size=(len(group), 8))
    return noise + signal * (y[:, None] - 0.5), y, group


def test_calibration_of_the_svm_never_turns_its_ranking_over():
    random = np.random.default_rng(0)
    for _ in range(40):
        x, y, group = in_groups(random, 8, signal=0.1)
        model = build("svm")
        svm.fit(model, x, y, group)
        decision = model[:-1].transform(x)
        values = model[-1].svc.decision_function(decision)
        assert roc_auc_score(y, model.predict_proba(x)[:, 1]) == pytest.approx(roc_auc_score(y, values))


def test_the_svm_is_calibrated_for_groups_that_it_has_not_seen():
    random, losses = np.random.default_rng(1), []
    for _ in range(10):
        x, y, group = in_groups(random, 40, signal=0.4)
        seen = group < 20
        by_group, by_video = build("svm"), build("svm")
        svm.fit(by_group, x[seen], y[seen], group[seen])
        svm.fit(by_video, x[seen], y[seen], np.arange(seen.sum()))
        losses.append([log_loss(y[~seen], model.predict_proba(x[~seen])) for model in (by_group, by_video)])
    by_group, by_video = np.mean(losses, axis=0)
    assert by_group < min(by_video, np.log(2) + 0.02)


@pytest.mark.parametrize("classes", [2, 3])
def test_an_svm_of_one_group_per_class_is_not_calibrated(classes):
    x, y = rows(classes)
    model = build("svm")
    svm.fit(model, x, y, y)
    assert model[-1].slope_ == 1
    assert not model[-1].intercept_.any()
    assert (model.predict(x) == y).mean() > 0.75
