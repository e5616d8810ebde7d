import pytest

from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.entries import plan_models


def plan(*entries):
    return plan_models(entries, largest_size=112, most_frames=16)


def test_a_name_alone_is_an_entry_with_all_defaults():
    (model,) = plan("svm")
    assert (model.name, model.architecture, model.needs) == ("svm", "svm", ARCHITECTURES["svm"].needs)
    assert model.settings == ARCHITECTURES["svm"].settings


def test_variants_of_one_architecture_differ_in_what_they_override():
    one, ten = plan("svm", {"name": "svm_c10", "architecture": "svm", "C": 10, "memory_mb": 8000})
    assert ten.settings == one.settings | {"C": 10}
    assert ten.needs.memory_mb == 8000
    assert "memory_mb" not in ten.settings  # more memory must not retrain


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "models is .*: name at least one of"),
        (["smv"], "architecture is 'smv': did you mean 'svm'"),
        ([{"name": "x"}], "architecture is None: use one of logistic_regression"),
        (["svm", "svm"], "name is 'svm': give each entry its own name"),
        (["svm", {"name": "SVM", "architecture": "svm"}], "name is 'svm': give each entry its own name, not only in"),
        ([{"name": "n" * 101, "architecture": "svm"}], "101 characters: use at most 100"),
        ([{"architecture": "svm", "name": "../x"}], "name is '../x': use letters"),
        ([{"architecture": "svm", "gama": 1}], "svm: gama is not a setting of svm: did you mean 'gamma'"),
        ([{"architecture": "svm", "C": "big"}], "C is 'big': use a number such as 0.1"),
        ([{"architecture": "naive_cnn", "epochs": 2.5}], "epochs is 2.5: use a value such as"),
        ([{"architecture": "naive_cnn", "epochs": True}], "epochs is True"),
        ([{"architecture": "naive_cnn", "size": 224}], "size is 224: use 16 up to decode.size"),
        ([{"architecture": "naive_cnn", "frames": 17}], "frames is 17"),
        ([{"architecture": "x3d", "variant": "l"}], "x3d: variant is 'l': use one of xs, s, m"),
        ([{"architecture": "x3d", "download": 1}], "download is 1: use a value such as False"),
        ([{"architecture": "svm", "gpus": -1}], "gpus is -1: use a whole number, 0 or more"),
        ([{"architecture": "svm", "fits_per_gpu": 0}], "fits_per_gpu is 0: use a whole number, 1 or more"),
        (
            [{"architecture": "x3d", "gpus": 2, "fits_per_gpu": 2}],
            "fits_per_gpu is 2: leave it out where gpus is above 1",
        ),
        (
            [{"architecture": "svm", "features": ["motion", "nosie"]}],
            r"features is \['motion', 'nosie'\]: use one or more of",
        ),
        ([{"architecture": "svm", "features": []}], r"features is \[\]: use one or more of brightness, colour"),
        ([{"architecture": "svm", "features": [["motion"]]}], r"features is \[\['motion'\]\]: use one or more of"),
        ([{"architecture": ["svm"]}], r"architecture is \['svm'\]: "),
        ([{"architecture": "x3d", "weights": True}], "weights is True: use pretrained, the path"),
        ([{"architecture": "naive_cnn", "width": 0}], "width is 0: use 1 or more channels"),
        ([{"architecture": "svm", "C": 0}], "C is 0: use a positive number"),
        ([{"architecture": "svm", "kernel": "foo"}], "kernel is 'foo': use one of linear, poly"),
        ([{"architecture": "svm", "gamma": "big"}], "gamma is 'big': use scale, auto or a positive number"),
        ([{"architecture": "svm", "class_weight": "none"}], "class_weight is 'none': use balanced, or null"),
        ([{"architecture": "gradient_boosting", "max_iter": 0}], "max_iter is 0: use 1 or more"),
        ([{"architecture": "svm", "memory": 8000}], "memory is not a setting of svm: did you mean 'memory_mb'"),
        ([{"architecture": "svm", "seeds": 3}], "models: svm: seeds is 3: svm has no chance in training: leave it out"),
        ([{"architecture": "naive_cnn", "seeds": 0}], "models: naive_cnn: seeds is 0: use 1 or more"),
        ([{"architecture": "svm", "foo": 1}], "foo is not a setting of svm: use one of features, class_weight"),
        ([{"architecture": "feature_mlp", "hidden": [8, 0]}], r"hidden is \[8, 0\]: use one or more widths"),
    ],
)
def test_errors_name_the_entry_and_the_remedy(entries, message):
    with pytest.raises(ValueError, match=message):
        plan(*entries)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_plans_with_its_defaults_and_has_a_module(name):
    import importlib

    *_, model = plan_models(list(dict.fromkeys(["svm", "logistic_regression", name])), largest_size=112, most_frames=16)
    module = importlib.import_module(model.module)
    assert callable(module.fit if model.input == "predictions" else module.build)


@pytest.mark.parametrize(
    "settings", [{"gamma": 0.1}, {"gamma": "auto"}, {"class_weight": None}, {"features": ["brightness"]}]
)
def test_other_values_that_scikit_learn_takes_are_taken(settings):
    assert plan({"architecture": "svm"} | settings)[0].settings.items() >= settings.items()
