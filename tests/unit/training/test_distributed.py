"""Several processes that train one network."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from helpers.fits import Fitted, fitted, plan, write_data
from torch import nn

from clipfold.training import on_clips
from clipfold.training.distributed import Gradients, Processes
from clipfold.training.launch import launch, relay
from clipfold.training.task import Task


def signal_when(path, number):
    """Send this process a signal as soon as there is such a file."""

    def watch():
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
def test_two_processes_asked_to_stop_resume_later_and_reach_the_weights_of_one(tmp_path, caplog):
    caplog.set_level("INFO")
    data = write_data(tmp_path / "data")
    changes = {"dropout": 0.0, "batch_size": 4}  # of 9 clips: in an epoch's last step the second process has none
    changes |= {"epochs": 15, "patience": 15, "optimizer": "sgd", "learning_rate": 1e-3, "clip_norm": 0.0}
    one = fitted(data, tmp_path / "one", "vit_gru", **changes)
    arguments = plan(data, tmp_path / "two", "vit_gru", **changes)
    signal_when(Path(arguments["outputs"]["history"]), signal.SIGUSR1)
    with pytest.raises(SystemExit) as stopped:
        launch(Task(**arguments), "clipfold.training.on_clips", 2)
    assert stopped.value.code == 128 + signal.SIGUSR1
    assert (tmp_path / "two/scratch/checkpoint.pt").exists()
    launch(Task(**arguments), "clipfold.training.on_clips", 2)
    assert caplog.text.count("resuming at epoch") == 1
    two = Fitted(arguments)
    two.assert_close(one)
    assert (one.record["processes"], two.record["processes"]) == (1, 2)
    assert one.record["batch"] == two.record["batch"] == 4
    assert abs(one.history.train_loss - two.history.train_loss).max() < 1e-4


@pytest.mark.slow
def test_both_trainings_of_a_refit_by_two_processes_reach_the_weights_of_one(tmp_path, monkeypatch):
    data = write_data(tmp_path / "data")
    changes = {"refit": True, "dropout": 0.0, "batch_size": 4, "epochs": 3, "optimizer": "sgd", "learning_rate": 1e-3}
    arguments = [plan(data, tmp_path / name, "vit_gru", clip_norm=0.0, **changes) for name in ("one", "two")]
    on_clips.fit(Task(**arguments[0]))
    monkeypatch.setattr(on_clips, "start", lambda part, module, _: launch(part, module, 2))
    on_clips.fit(Task(**arguments[1]))
    one, two = map(Fitted, arguments)
    two.assert_close(one)
    assert (one.record["processes"], two.record["processes"]) == (1, 2)
    assert one.history.refit.tolist() == two.history.refit.tolist()


def test_what_the_processes_log_is_in_the_log_of_their_job(caplog):
    caplog.set_level("INFO")
    for line in (
        "WARNING:out of memory at step 3: freed memory",
        "Traceback (most recent call last):",
        "ValueError: bad",
    ):
        relay(line)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "out of memory at step 3: freed memory"),
        ("INFO", "Traceback (most recent call last):"),
        ("INFO", "ValueError: bad"),
    ]


def test_gradients_are_summed_in_the_layout_of_their_parameters(monkeypatch):
    """The other process has the same gradients, but none of the last parameter."""
    parameters = [
        nn.Parameter(torch.randn(3, 2, 1, 2, 2).to(memory_format=torch.channels_last_3d)),
        *map(nn.Parameter, torch.randn(2, 4)),
    ]
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda values: values.mul_(2))
    sums = Gradients(parameters, Processes(0, 2))
    for _ in range(2):
        own = [torch.randn_like(p) for p in parameters[:2]]
        for p, gradient in zip(parameters, [*own, None], strict=True):
            p.grad = None if gradient is None else gradient.clone()
        sums.sum(parameters)
        for p, expected in zip(parameters, [*(2 * gradient for gradient in own), torch.zeros(4)], strict=True):
            assert torch.equal(p.grad, expected)
            assert p.grad.stride() == p.stride()
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones(4)
    sums.sum(parameters[1:])
    assert parameters[1].grad.tolist() == [2] * 4


def test_a_setting_of_the_environment_does_not_make_a_fit_one_of_several(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert fitted(write_data(tmp_path / "data"), tmp_path / "fit", "naive_cnn").record["processes"] == 1


@pytest.mark.slow
def test_nothing_is_imported_from_the_working_directory(tmp_path, monkeypatch):
    """A folder of results may come from a stranger, and jobs start there."""
    ran = tmp_path / "ran"
    for name in ("resource.py", "torch.py", "clipfold.py"):
        (tmp_path / name).write_text(f"open({str(ran)!r}, 'a').write(__file__)")
    monkeypatch.chdir(tmp_path)
    arguments = plan(write_data(tmp_path / "data"), tmp_path / "fit", "naive_cnn")
    with pytest.raises(SystemExit):
        launch(Task(**arguments | {"splits": "missing"}), "clipfold.training.on_clips", 1)
    assert not ran.exists()
