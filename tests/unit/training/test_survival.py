"""A fit that is killed, asked to stop or finds a bad checkpoint ends with the bits of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.fits import Fitted, at_forward, fitted, plan, with_copies, with_network, write_data

from clipfold.training.on_clips import fit_here
from clipfold.training.task import Task


@pytest.mark.slow
def test_killed_at_random_moments_a_fit_comes_to_the_same_bits(tmp_path):
    command = [sys.executable, "-m", "helpers.kills", str(tmp_path), "3", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: facts["kills"] for name, facts in found.items()} == {"naive_cnn": 3, "vit_gru": 3}


class Stopped(Exception):
    """In place of a kill."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


CHANGES = {"flip": 0.5, "ema": 0.9, "checkpoint_minutes": 1e-9}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    return fitted(data, tmp_path_factory.mktemp("whole"), "naive_cnn", **CHANGES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("step", [1, 2, 5])  # within an epoch, at its end, at the end of the last one
def test_a_signal_ends_a_fit_with_a_checkpoint_to_resume_from(data, whole, number, step, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    changes = CHANGES | {"checkpoint_epochs": 0, "checkpoint_minutes": 0.0}
    arguments = plan(data, tmp_path, "naive_cnn", **changes)
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", lambda net: at_forward(net, step, lambda: os.kill(os.getpid(), number)))
        with pytest.raises(SystemExit) as stopped:
            fit_here(Task(**arguments))
    assert stopped.value.code == 128 + number
    assert signal.getsignal(number) == before
    assert (tmp_path / "scratch/checkpoint.pt").exists()
    fit_here(Task(**arguments))
    assert f"resuming at epoch {1 + step // 3}, step {1 + step % 3} of 3" in caplog.text
    Fitted(arguments).assert_same(whole)
    assert not (tmp_path / "scratch").exists()


def stop_at(data, folder, monkeypatch, step, architecture="naive_cnn", **changes):
    def end():
        raise Stopped

    arguments = plan(data, folder, architecture, **CHANGES | changes)
    with monkeypatch.context() as patch:
        with_network(patch, architecture, lambda net: at_forward(net, step, end))
        with pytest.raises(Stopped):
            fit_here(Task(**arguments))
    return arguments


def test_a_fit_that_replays_copies_ends_with_the_bits_of_one_that_stored_them_also_if_killed(
    data, tmp_path, monkeypatch
):
    stored, replayed = with_copies(data, tmp_path / "copies")
    arguments = stop_at(replayed, tmp_path / "killed", monkeypatch, 4)
    fit_here(Task(**arguments))
    Fitted(arguments).assert_same(fitted(stored, tmp_path / "whole", "naive_cnn", **CHANGES))


@pytest.mark.parametrize("part", [{"lora_rank": 2}, {"unfreeze_blocks": 1}], ids=lambda part: next(iter(part)))
def test_a_fit_of_a_part_of_an_encoder_resumes_to_the_same_bits(data, part, tmp_path, monkeypatch):
    changes = {"architecture": "vit_gru", "freeze": True, **part}
    arguments = stop_at(data, tmp_path / "killed", monkeypatch, 4, **changes)
    fit_here(Task(**arguments))
    whole = fitted(data, tmp_path / "whole", **CHANGES | changes)
    Fitted(arguments).assert_same(whole)
    assert 0 < whole.record["trained_parameters"] < whole.record["parameters"] / 2


def test_a_damaged_checkpoint_or_one_of_other_settings_is_ignored(data, whole, tmp_path, monkeypatch, caplog):
    arguments = stop_at(data, tmp_path, monkeypatch, 4)
    state = tmp_path / "scratch/checkpoint.pt"
    state.write_bytes(state.read_bytes()[:-1000])
    fit_here(Task(**arguments))
    assert "cannot be read" in caplog.text
    Fitted(arguments).assert_same(whole)
    stop_at(data, tmp_path, monkeypatch, 4, learning_rate=0.1)
    fit_here(Task(**arguments))
    assert "belongs to other settings or data: starting over" in caplog.text
    Fitted(arguments).assert_same(whole)


def test_a_checkpoint_of_other_code_or_data_is_ignored(data, whole, tmp_path, monkeypatch, caplog):
    arguments = stop_at(data, tmp_path, monkeypatch, 4)
    with monkeypatch.context() as patch:
        patch.setattr("clipfold.training.on_clips.fingerprint", lambda *modules: "edited")
        fit_here(Task(**arguments))
    stop_at(data, tmp_path, monkeypatch, 4)
    index = Path(data["data"]["index"][0])
    os.utime(index, (1, 1))
    fit_here(Task(**arguments))
    assert caplog.text.count("belongs to other settings or data: starting over") == 2
    Fitted(arguments).assert_same(whole)


def test_the_history_is_complete_after_a_kill_and_does_not_repeat_epochs(data, whole, tmp_path, monkeypatch):
    arguments = stop_at(data, tmp_path, monkeypatch, 4)
    assert pd.read_csv(arguments["outputs"]["history"]).epoch.tolist() == [1]
    fit_here(Task(**arguments))
    assert Fitted(arguments).history.epoch.tolist() == [1, 2]


def test_what_ran_out_of_memory_before_a_kill_is_still_recorded(data, tmp_path, monkeypatch):
    def out_of_memory():
        raise torch.OutOfMemoryError

    def change(net):
        at_forward(net, 1, out_of_memory)
        at_forward(net, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))

    arguments = plan(data, tmp_path, "naive_cnn")
    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", change)
        with pytest.raises(SystemExit):
            fit_here(Task(**arguments))
    fit_here(Task(**arguments))
    assert Fitted(arguments).record["out_of_memory"] == {"repeated": [1], "halved": []}
