"""Tests that need a GPU."""

import pytest
import torch
from helpers.fits import fitted, write_data

from clipfold.training.train_step import TrainStep

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


@pytest.mark.parametrize("architecture", ["naive_cnn", "vit_gru"])
def test_a_graph_trains_to_the_same_weights(architecture, data, tmp_path):
    changes = {"flip": 0.5, "crop": 0.8, "tf32": False, "learning_rate": 1e-5}
    graphed = fitted(data, tmp_path / "graphed", architecture, graph=True, **changes)
    assert graphed.record["graph"] == {"recorded": 1, "failed": ""}
    graphed.assert_close(fitted(data, tmp_path / "plain", architecture, **changes))


def test_automatic_precision_is_bf16_where_the_gpu_has_it(data, tmp_path):
    found = fitted(data, tmp_path, "naive_cnn", precision="auto").record["precision"]
    assert found == ("bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32")


@pytest.fixture
def limited():
    """Limit the memory of this process in bytes, and lift the limit in the end."""

    def limit(wanted):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(wanted / torch.cuda.get_device_properties(0).total_memory)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)


AUTO = {"batch_size": "auto", "accumulate": 40, "dropout": 0.0, "width": 64, "learning_rate": 1e-4}


def peak_of(data, folder, **changes):
    """Return the bytes that a fit of given micro-batches reserved."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    fitted(data, folder, "naive_cnn", **AUTO | changes)
    return torch.cuda.max_memory_reserved()


def test_an_automatic_batch_is_as_large_as_real_memory_allows(data, tmp_path, limited):
    free = fitted(data, tmp_path / "free", "naive_cnn", **AUTO)
    assert free.record["micro_batch"] == 40
    weights = 4 * sum(value.numel() for value in free.weights.values())
    limited(peak_of(data, tmp_path / "eight", batch_size=8, accumulate=5) + weights)  # a trial has its own weights
    little = fitted(data, tmp_path / "little", "naive_cnn", **AUTO)
    assert 1 <= little.record["micro_batch"] < 40
    assert little.record["batch"] == 40


def test_memory_for_half_a_batch_halves_the_micro_batch(data, tmp_path, limited):
    whole, half = (peak_of(data, tmp_path / f"{n}", batch_size=n, accumulate=40 // n) for n in (40, 20))
    limited((whole + half) / 2)
    found = fitted(data, tmp_path / "little", "naive_cnn", **AUTO | {"batch_size": 40, "accumulate": 1})
    assert found.record["micro_batch"] < 40
    assert found.record["out_of_memory"]["halved"][0] == [0, 20]


def test_the_step_asks_nothing_of_the_gpu(data, tmp_path, monkeypatch):
    """As the pretended one of test_waits.py, with PyTorch's own check."""
    attempt, steps = TrainStep.attempt, iter(range(1000))

    def watched(self, *arguments):
        torch.cuda.set_sync_debug_mode("error" if next(steps) else "default")  # the first one copies constants
        try:
            return attempt(self, *arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(TrainStep, "attempt", watched)
    fitted(data, tmp_path, "naive_cnn", flip=0.5, crop=0.7, jitter=0.1, mixup=0.2, ema=0.9)


def test_how_busy_the_gpu_was_is_recorded(data, tmp_path):
    record = fitted(data, tmp_path, "naive_cnn", epochs=40, patience=40).record
    assert record["device"] == torch.cuda.get_device_name()
    assert "why_cpu" not in record
    assert 0 < record["speed"]["device_memory_share"] < 1
    assert record["determinism"] == "full"


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_compiled_network_comes_to_nearly_the_same(mode, classes, tmp_path):
    data = write_data(tmp_path / "data", classes=classes)
    changes = {"dropout": 0.0, "learning_rate": 1e-5, "tf32": False}
    plain = fitted(data, tmp_path / "plain", "vit_gru", **changes)
    compiled = fitted(data, tmp_path / "compiled", "vit_gru", **changes, compile=mode)
    compiled.assert_close(plain, 1e-3)
    assert compiled.record["compiled"]["graphs"] > 0


def test_memory_that_runs_out_under_cuda_graphs_gives_right_gradients(data, tmp_path, monkeypatch):
    changes = {"dropout": 0.0, "learning_rate": 1e-5, "tf32": False, "batch_size": 8}
    plain = fitted(data, tmp_path / "plain", "vit_gru", **changes)
    monkeypatch.setattr(
        TrainStep, "_parts", lambda self, clips: [slice(i, min(i + 4, clips)) for i in range(0, clips, 4)]
    )
    fitted(data, tmp_path / "graphs", "vit_gru", **changes, compile="reduce-overhead").assert_close(plain, 1e-3)
