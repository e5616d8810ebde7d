import numpy as np
import pytest
import skops.io

from clipfold.models.catalog import ARCHITECTURES, plan_models
from clipfold.models.fitted import TRUSTED, read_fitted, write_fitted

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


@pytest.mark.filterwarnings("ignore:.*probability:FutureWarning")
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
