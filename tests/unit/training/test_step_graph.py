"""Test steps that are recorded and replayed. A pretended graph computes on the CPU what a real one does on a GPU."""

import pytest
import torch
from helpers.fits import fitted, write_data

from clipfold.models.entries import plan_models
from clipfold.training import step_graph, train_step


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), train=10)


class Pretended(step_graph.StepGraph):
    """A graph for a CPU, with the weights' own copy of what a GPU would have at fixed addresses."""

    replays = 0

    def replay(self, batch, drawn):
        Pretended.replays += 1
        for _, gradient in self._gradients:
            gradient.fill_(torch.nan)  # a replay has to write them
        return super().replay(batch, drawn)


@pytest.fixture
def recording(monkeypatch):
    """Let fits record on the CPU; returns the errors to raise in the next recordings."""
    errors, graphs = [], []

    def made(network, parameters, device):
        graphs.append(Pretended(network, parameters, device))
        return graphs[-1]

    def record(work):
        for _ in range(3):
            work()
        if errors:
            raise errors.pop()
        total, graph = work(), graphs[-1]

        def replay():
            total.copy_(work())
            for parameter, gradient in graph._gradients:
                gradient.copy_(parameter.grad)

        return replay, total

    monkeypatch.setattr(train_step, "step_graph", made)
    monkeypatch.setattr(step_graph, "record_on_gpu", record)
    monkeypatch.setattr(Pretended, "replays", 0)
    return errors


AUGMENTED = {"flip": 0.5, "crop": 0.8, "jitter": 0.2, "mixup": 0.3}
CASES = {
    "normalised": ("naive_cnn", {}, 1),
    "augmented": ("naive_cnn", AUGMENTED, 1),
    "random": ("vit_gru", {"dropout": 0.5}, 1),
    "averaged": ("naive_cnn", {"ema": 0.9}, 1),
    "in micro-batches": ("naive_cnn", {"batch_size": 2, "accumulate": 2}, 1),
    "unfrozen later": ("vit_gru", {"freeze": True, "unfreeze_at": 2, "flip": 0.5}, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_train_to_the_same_bits(case, data, tmp_path, recording):
    architecture, changes, recorded = CASES[case]
    graphed = fitted(data, tmp_path / "graphed", architecture, graph=True, **changes)
    assert graphed.record["graph"] == {"recorded": recorded, "failed": ""}
    assert Pretended.replays == 4  # of 2 epochs, in which the third step has two clips and runs without
    graphed.assert_same(fitted(data, tmp_path / "plain", architecture, **changes))


def test_memory_that_runs_out_while_recording_is_freed_and_the_step_repeated(data, tmp_path, recording):
    recording.append(torch.OutOfMemoryError("CUDA out of memory."))
    graphed = fitted(data, tmp_path / "graphed", "naive_cnn", graph=True)
    assert graphed.record["out_of_memory"] == {"repeated": [0], "halved": []}
    assert graphed.record["graph"] == {"recorded": 1, "failed": ""}
    graphed.assert_same(fitted(data, tmp_path / "plain", "naive_cnn"))


def test_steps_that_cannot_be_recorded_run_without_and_the_record_says_why(data, tmp_path, recording, caplog):
    recording.append(RuntimeError("operation not permitted when stream is capturing\nmore"))
    graphed = fitted(data, tmp_path / "graphed", "naive_cnn", graph=True)
    assert graphed.record["graph"] == {"recorded": 0, "failed": "operation not permitted when stream is capturing"}
    assert Pretended.replays == 0
    assert caplog.text.count("cannot be recorded, and run without: operation not permitted") == 1
    graphed.assert_same(fitted(data, tmp_path / "plain", "naive_cnn"))


def test_a_cpu_runs_without_and_the_log_says_so(data, tmp_path, caplog):
    graphed = fitted(data, tmp_path / "graphed", "naive_cnn", graph=True)
    assert "graph" not in graphed.record
    assert "graph: true needs a GPU" in caplog.text
    graphed.assert_same(fitted(data, tmp_path / "plain", "naive_cnn"))


@pytest.mark.parametrize("change", [{"compile": "default"}, {"checkpointing": True}])
def test_what_no_graph_can_hold_is_refused(change):
    with pytest.raises(ValueError, match=f"graph is true and {next(iter(change))} .*: use only one of them"):
        plan_models([{"architecture": "naive_cnn", "graph": True} | change], largest_size=112, most_frames=16)
