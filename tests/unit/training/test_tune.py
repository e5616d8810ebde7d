"""Test what `clipfold tune` tries, keeps and writes; the steps that it measures are real ones."""

import json

import pytest
import torch
from typer.testing import CliRunner

from clipfold.cli import app
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.entries import plan_models
from clipfold.training import tune as tuning
from clipfold.training.trial_steps import TrialSteps
from clipfold.training.tune import as_config, candidates, table, tune

SMALL = {"size": 32, "frames": 2, "width": 4}


def model(**entry):
    return plan_models([{"architecture": "naive_cnn"} | SMALL | entry], largest_size=10**4, most_frames=10**4)[0]


def names(gpu=False, **changes):
    return [each.name for each in candidates(ARCHITECTURES["naive_cnn"].settings | changes, 2, 2, gpu)]


def test_a_cpu_is_offered_smaller_batches_of_the_same_step_another_layout_fewer_threads_and_a_compiler():
    batches = ["batch_size: 4, accumulate: 2", "batch_size: 2, accumulate: 4"]
    assert names() == [*batches, "channels_last: false", "threads: 1", "compile: default"]
    assert names(batch_size=4, accumulate=2)[0] == "batch_size: 8, accumulate: 1"
    assert names(batch_size="auto", accumulate=8)[0] == "channels_last: false"
    assert "compile: default" not in names(checkpointing=True)


def test_a_gpu_is_offered_precision_algorithms_and_graphs_instead_of_threads():
    found = names(gpu=True)
    assert found[-4:] == ["precision: auto", "deterministic: false", "graph: true", "compile: default"]
    assert "threads: 1" not in found
    assert not {"compile: default", "graph: true"} & set(names(gpu=True, graph=True))


def test_steps_train_on_all_clips_of_an_optimizer_step_in_micro_batches():
    trial = TrialSteps(model(batch_size=2, accumulate=3, flip=0.5), threads=1)
    before = [p.clone() for p in trial._step._network.parameters()]
    assert trial.run(1) > 0
    assert trial.clips == 6
    assert trial._step.micro == 2
    assert any(not torch.equal(a, b) for a, b in zip(before, trial._step._network.parameters(), strict=True))


def test_what_gains_is_kept_for_the_next_and_written_as_an_entry(monkeypatch):
    ratios = {"batch_size: 4, accumulate: 2": 1.2, "channels_last: false": 1.04, "threads: 1": 1.5}
    built = []

    class Steps:
        def __init__(self, model, threads):
            self.threads = threads
            built.append((model.settings["batch_size"], model.settings["channels_last"], threads))

    monkeypatch.setattr(tuning, "TrialSteps", Steps)
    monkeypatch.setattr(tuning, "compare", lambda best, trial: (10.0, next(order)))
    order = iter([ratios.get(name, 0.9) for name in names()])
    tried = tune(model(), 2, 60, lambda line: None)
    assert [each.change.name for each in tried if each.kept] == ["batch_size: 4, accumulate: 2", "threads: 1"]
    assert built[1:] == [(4, True, 2), (2, True, 2), (4, False, 2), (4, True, 1), (4, True, 1)]
    expected = {"architecture": "x", "batch_size": 4, "accumulate": 2, "threads": 1}
    assert as_config({"architecture": "x"}, tried) == f"models:\n  - {json.dumps(expected)}\n"


def test_a_graph_that_is_kept_is_not_compiled(monkeypatch):
    class Steps:
        def __init__(self, model, threads):
            self.threads = threads

    monkeypatch.setattr(tuning, "TrialSteps", Steps)
    monkeypatch.setattr(tuning, "compare", lambda best, trial: (10.0, 1.2))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    tried = {each.change.name: each for each in tune(model(), 2, 60, lambda line: None)}
    assert tried["graph: true"].kept
    assert tried["compile: default"].why == "a graph is kept"


def test_a_frozen_encoder_of_which_a_part_learns_is_tuned_as_it_trains():
    entry = {"architecture": "vit_gru", "encoder": "vit_micro", "freeze": True, "lora_rank": 2, "size": 32, "frames": 2}
    (network,) = plan_models([entry], largest_size=10**4, most_frames=10**4)
    trial = TrialSteps(network, threads=1)
    frozen = [name for name, p in trial._step._network.named_parameters() if not p.requires_grad]
    assert frozen
    assert network.encoder is None


def test_what_does_not_fit_or_has_no_time_is_listed_and_not_kept(monkeypatch):
    def lacking(model, threads):
        if not model.settings["channels_last"]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return TrialSteps(model, threads)

    monkeypatch.setattr(tuning, "TrialSteps", lacking)
    monkeypatch.setattr(tuning, "compare", lambda best, trial: (10.0, 1.0))
    found = {each.change.name: each for each in tune(model(), 1, 1, lambda line: None)}
    assert found["channels_last: false"].why == "does not fit into memory"
    assert found["compile: default"].why == "no time left: use --minutes"
    assert not any(each.kept for each in found.values())


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ({"architecture": "svm"}, "name an architecture on clips"),
        ({"architecture": "cnn_lstm", "freeze": True}, "there is nothing to tune"),
    ],
)
def test_models_that_train_in_seconds_are_refused(entry, remedy):
    (refused,) = plan_models([entry], largest_size=10**4, most_frames=10**4)
    with pytest.raises(ValueError, match=remedy):
        tune(refused, 1, 1, print)


@pytest.mark.slow
def test_the_command_measures_and_writes_an_entry_that_a_config_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_COMPILE_S", 1e9)
    output = tmp_path / "tuned model.yaml"
    own = [f"--set={key}={value}" for key, value in SMALL.items()]
    done = CliRunner().invoke(app, ["tune", "naive_cnn", *own, "--output", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (entry,) = json.loads(output.read_text().removeprefix("models:\n  - ").join("[]"))
    assert plan_models([entry], largest_size=32, most_frames=2)[0].settings["width"] == 4
    assert done.output.startswith(table([])[0])


def test_the_folder_of_a_fit_stands_for_its_settings(tmp_path, monkeypatch):
    record = {"architecture": ARCHITECTURES["naive_cnn"].module, "settings": model(batch_size=4).settings}
    (tmp_path / "fit.json").write_text(json.dumps(record))
    entries = []
    monkeypatch.setattr(tuning, "tune", lambda planned, *rest: entries.append(planned) or [])
    done = CliRunner().invoke(app, ["tune", str(tmp_path), "--set", "size=16"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert entries[0].settings == model(batch_size=4, size=16).settings


def test_a_setting_without_a_value_is_refused():
    with pytest.raises(ValueError, match="--set is 'size': use KEY=VALUE"):
        CliRunner().invoke(app, ["tune", "naive_cnn", "--set", "size"], catch_exceptions=False)
