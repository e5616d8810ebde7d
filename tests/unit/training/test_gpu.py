"""Tests that need a GPU."""

import pytest
import torch
from helpers.fits import fitted, write_data

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), train=40)


def test_clips_that_fit_are_put_on_the_device_and_read_from_files_otherwise(data, tmp_path, monkeypatch):
    changes = {"flip": 0.5, "tf32": False, "learning_rate": 1e-5}
    device = fitted(data, tmp_path / "device", "vit_gru", **changes)
    monkeypatch.setattr("clipfold.training.batches._SHARE", 0.0)
    files = fitted(data, tmp_path / "files", "vit_gru", **changes, workers=2)
    assert (device.record["data_in"], files.record["data_in"]) == ("device", "files")
    files.assert_close(device, 1e-4)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_learns_with_finite_weights(precision, data, tmp_path):
    found = fitted(data, tmp_path, "naive_cnn", precision=precision, epochs=10, learning_rate=0.01, clip_norm=1.0)
    assert found.record["precision"] == precision
    assert all(value.isfinite().all() for value in found.weights.values())
    assert found.history.train_loss.iloc[-1] < found.history.train_loss.iloc[0]


def test_an_automatic_batch_is_as_large_as_real_memory_allows(data, tmp_path):
    total = torch.cuda.get_device_properties(0).total_memory
    changes = {"batch_size": "auto", "accumulate": 40, "dropout": 0.0}
    changes |= {"width": 64, "learning_rate": 1e-4}
    free = fitted(data, tmp_path / "free", "naive_cnn", **changes)
    assert free.record["micro_batch"] == 40
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 120 * 2**20) / total)
        little = fitted(data, tmp_path / "little", "naive_cnn", **changes)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1 <= little.record["micro_batch"] < 40
    assert little.record["batch"] == 40


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_compiled_network_comes_to_nearly_the_same(mode, classes, tmp_path):
    data = write_data(tmp_path / "data", classes=classes)
    changes = {"dropout": 0.0, "learning_rate": 1e-5, "tf32": False}
    plain = fitted(data, tmp_path / "plain", "vit_gru", **changes)
    fitted(data, tmp_path / "compiled", "vit_gru", **changes, compile=mode).assert_close(plain, 1e-3)
