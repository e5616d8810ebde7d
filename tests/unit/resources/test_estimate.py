"""Estimates follow recorded usage; a forecast adds up."""

import pytest

from clipfold.models.catalog import plan_models
from clipfold.resources.estimate import estimate, read_records


def model(**settings):
    return plan_models([{"architecture": "x3d"} | settings], largest_size=112, most_frames=16)[0]


def record(settings, **facts):
    videos = {"train_videos": 60, "val_videos": 20, "test_videos": 20}
    return {"settings": dict(settings), "peak_mb": 3000.0, "seconds": 600.0} | videos | facts


def test_without_a_record_the_catalogs_figures_hold():
    assert estimate(model(), [], 100) == model().needs


def test_the_largest_recorded_peak_is_asked_for_with_a_margin():
    x3d = model()
    needs = estimate(x3d, [record(x3d.settings), record(x3d.settings, peak_mb=4000.0, seconds=1200.0)], 100)
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
    small = record(like.settings, peak_mb=960.0)
    assert estimate(like, [small], 100).memory_mb == 1600
    assert estimate(changed, [small], 100) == changed.needs


def test_more_videos_and_epochs_ask_for_more_time_not_memory():
    x3d = model(epochs=20, learning_rate=0.5)
    needs = estimate(x3d, [record(x3d.settings | {"epochs": 10, "learning_rate": 0.1})], 300)
    assert (needs.memory_mb, needs.runtime) == (4200, 130)  # 10 minutes, thrice the videos, twice the epochs, twice


def test_what_the_config_asks_for_holds():
    x3d = model(memory_mb=20000, runtime=90)
    assert estimate(x3d, [record(x3d.settings)], 100) == x3d.needs
    like_the_catalog = model(memory_mb=model().needs.memory_mb, runtime=model().needs.runtime)
    assert estimate(like_the_catalog, [record(x3d.settings)], 100) == model().needs


def test_records_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "a.json").write_text('{"seconds": 1')
    (tmp_path / "b.json").write_text('{"seconds": 1}')
    assert read_records([tmp_path / name for name in ("a.json", "b.json", "gone.json")]) == [{"seconds": 1}]
