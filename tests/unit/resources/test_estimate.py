"""Estimates follow recorded usage; a forecast adds up."""

import json

import pytest

from clipfold.models.entries import plan_models
from clipfold.resources.estimate import Fit, estimate, read_fits


def model(**settings):
    return plan_models([{"architecture": "x3d"} | settings], largest_size=112, most_frames=16)[0]


def fit(like, settings=None, **facts):
    """A fit of a model on 100 videos, with other settings where given."""
    facts = {"videos": 100, "seconds": 600.0, "memory_mb": 3000.0} | facts
    return Fit(module=like.module, settings=like.settings | (settings or {}), **facts)


def test_without_a_record_the_catalogs_figures_hold():
    assert estimate(model(), [], 100) == model().needs


def test_the_largest_recorded_peak_is_asked_for_with_a_margin():
    x3d = model()
    needs = estimate(x3d, [fit(x3d), fit(x3d, memory_mb=4000.0, seconds=1200.0)], 100)
    assert (needs.memory_mb, needs.runtime) == (5400, 50)  # 4000 * 1.25 + 400; 20 * 2 + 10


SHAPING = [
    ("x3d", {"size": 64, "frames": 8, "batch_size": 2, "variant": "s", "ema": 0.9, "optimizer": "sgd", "freeze": True}),
    ("cnn_lstm", {"hidden": 1024, "layers": 3, "encoder": "vgg19", "precision": "bf16", "checkpointing": True}),
    ("vit_transformer", {"depth": 12, "heads": 6, "flip": 0.5}),
    ("naive_cnn", {"width": 128, "accumulate": 4}),
    ("feature_mlp", {"hidden": [4096], "features": ["frame"]}),
    ("gradient_boosting", {"max_leaf_nodes": 500, "max_iter": 5000}),
]


@pytest.mark.parametrize(
    ("architecture", "key", "value"), [(name, *change) for name, changes in SHAPING for change in changes.items()]
)
def test_a_record_with_another_setting_that_shapes_memory_is_ignored(architecture, key, value):
    like = model(architecture=architecture)
    changed = model(architecture=architecture, **{key: value})
    small = fit(like, memory_mb=960.0)
    assert estimate(like, [small], 100).memory_mb == 1600
    assert estimate(changed, [small], 100) == changed.needs


def test_fits_on_features_of_hundreds_of_thousands_ask_for_more_also_after_a_small_run():
    svm = model(architecture="svm")
    assert estimate(svm, [], 10_000) == svm.needs
    needs = estimate(svm, [], 1_000_000)
    assert (needs.memory_mb, needs.runtime) == (12_800, 150)  # 400 + 400 + 12,000; 60 minutes for 400,000
    assert estimate(svm, [fit(svm, memory_mb=250.0)], 1_000_000).memory_mb > 12_000
    given = model(architecture="svm", memory_mb=3000, runtime=20)
    assert estimate(given, [], 1_000_000) == given.needs


def test_more_videos_and_epochs_ask_for_more_time_not_memory():
    x3d = model(epochs=20, learning_rate=0.5)
    needs = estimate(x3d, [fit(x3d, {"epochs": 10, "learning_rate": 0.1})], 300)
    assert (needs.memory_mb, needs.runtime) == (4200, 130)  # 10 minutes, thrice the videos, twice the epochs, twice


def test_more_seeds_ask_for_more_time_not_memory():
    once, thrice = model(epochs=10), model(epochs=10, seeds=3)
    assert estimate(thrice, [], 100).runtime == 3 * once.needs.runtime
    needs = estimate(thrice, [fit(once)], 100)
    assert (needs.memory_mb, needs.runtime) == (4200, 70)  # 10 minutes, thrice, twice
    assert estimate(model(seeds=3, runtime=90), [], 100).runtime == 90


def test_a_second_training_asks_for_more_time_not_memory():
    once, twice = model(), model(refit=True)
    assert estimate(twice, [], 100).runtime == 2.25 * once.needs.runtime
    needs = estimate(twice, [fit(once)], 100)
    assert (needs.memory_mb, needs.runtime) == (4200, 55)  # 10 minutes, 2.25 times, twice
    assert estimate(twice, [fit(twice)], 100).runtime == estimate(once, [fit(once)], 100).runtime


def test_what_the_config_asks_for_holds():
    x3d = model(memory_mb=20000, runtime=90)
    assert estimate(x3d, [fit(x3d)], 100) == x3d.needs
    like_the_catalog = model(memory_mb=model().needs.memory_mb, runtime=model().needs.runtime)
    assert estimate(like_the_catalog, [fit(x3d)], 100) == model().needs


def test_a_fit_of_another_architecture_is_ignored():
    """A model may get another architecture and keep its name, and with it the folder of its records."""
    r3d, swin = (model(architecture=name) for name in ("r3d_18", "swin3d_t"))
    assert estimate(swin, [fit(r3d, swin.settings, memory_mb=90_000.0)], 100) == swin.needs


RECORD = {
    "architecture": "clipfold.models.architectures.x3d",
    "settings": {"epochs": 2},
    **{f"{split}_videos": 10 for split in ("train", "val", "test")},
    "seconds": 5.0,
    "peak_mb": 100.0,
    "processes": 2,
}


def test_records_are_read(tmp_path):
    (tmp_path / "fit.json").write_text(json.dumps(RECORD))
    expected = Fit(RECORD["architecture"], {"epochs": 2}, videos=30, seconds=5.0, memory_mb=200.0)
    assert read_fits([tmp_path / "fit.json"]) == [expected]


ODD = {
    "no settings": {key: value for key, value in RECORD.items() if key != "settings"},
    "no seconds": {key: value for key, value in RECORD.items() if key != "seconds"},
    "no videos": {key: value for key, value in RECORD.items() if key != "train_videos"},
    "no architecture": {key: value for key, value in RECORD.items() if key != "architecture"},
    "a list": [RECORD],
    "text": RECORD | {"seconds": "5"},
    "not a number": RECORD | {"peak_mb": float("nan")},
    "negative": RECORD | {"test_videos": -1},
    "huge": RECORD | {"peak_mb": 10**400},
    "settings of another shape": RECORD | {"settings": 3},
    "no epochs": RECORD | {"settings": {"epochs": 0}},
    "no seeds": RECORD | {"settings": {"seeds": 0}},
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_odd_records_are_left_out_with_a_warning(tmp_path, caplog, content):
    (tmp_path / "fit.json").write_text(json.dumps(content))
    assert read_fits([tmp_path / "fit.json", tmp_path / "gone.json"]) == []
    assert len(caplog.records) == 1
