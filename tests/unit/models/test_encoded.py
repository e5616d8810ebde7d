"""Categories for models of numbers: encoded inside of a fold, by its training data."""

import numpy as np
import pandas as pd
import pytest

from clipfold.models.architectures import feature_mlp, gradient_boosting, logistic_regression, svm
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.fitted import class_probabilities, read_fitted, write_fitted
from clipfold.models.tabular import MOST_CATEGORIES, encoded

MODELS = (feature_mlp, gradient_boosting, logistic_regression, svm)


def data(rows=80):
    rng = np.random.default_rng(0)
    eye = rng.choice(["blue", "green", "<b>", "=1+1"], rows)
    x = pd.DataFrame({"table.x": rng.normal(size=rows), "table.eye": eye})
    x.loc[:5, "table.x"] = np.nan
    return x, (eye == "blue").astype(int)


def without_grids(settings):
    return {name: value["grid"][-1] if isinstance(value, dict) else value for name, value in settings.items()}


@pytest.mark.parametrize("module", MODELS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_model_learns_from_categories_and_survives_storing(tmp_path, module):
    x, y = data()
    settings = without_grids(ARCHITECTURES[module.__name__.rpartition(".")[2]].settings)
    model = encoded(module.build(settings, 0), list(x), ["table.eye"]).fit(x, y)
    assert (class_probabilities(model, x, 2).argmax(1) == y).mean() > 0.95
    write_fitted(tmp_path / "model.skops", model)
    new = pd.concat([x, pd.DataFrame({"table.x": [0.0, np.nan], "table.eye": ["purple", ""]})])
    found = class_probabilities(read_fitted(tmp_path / "model.skops"), new, 2)
    np.testing.assert_array_equal(found[: len(x)], class_probabilities(model, x, 2))
    assert np.isfinite(found).all()


def test_an_unknown_category_is_zero_in_all_numbers():
    x, y = data()
    settings = without_grids(ARCHITECTURES["logistic_regression"].settings)
    encoder = encoded(logistic_regression.build(settings, 0), list(x), ["table.eye"])
    encoder.fit(x, y)
    new = encoder[0].transform(pd.DataFrame({"table.x": [1.0], "table.eye": ["purple"]}))
    assert new.tolist() == [[1.0, 0, 0, 0, 0]]


def test_many_categories_make_few_numbers():
    names = [f"c{i % 1500}" for i in range(3000)]
    x, y = pd.DataFrame({"table.x": np.arange(3000.0), "table.c": names}), np.arange(3000) % 2
    model = encoded(logistic_regression.build(ARCHITECTURES["logistic_regression"].settings, 0), list(x), ["table.c"])
    model[0].fit(x, y)
    assert model[0].transform(x[:1]).shape == (1, 1 + MOST_CATEGORIES)
