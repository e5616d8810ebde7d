"""Test what bounds the speed of training, and what would help."""

import logging

import pytest
import torch
from helpers.fits import settings_of

from clipfold.training import recorder as recording
from clipfold.training.recorder import Recorder
from clipfold.training.verdict import verdict


@pytest.mark.parametrize(
    ("waiting", "busy", "memory", "device", "changes", "bound", "remedy"),
    [
        (0.2, None, None, "cpu", {}, "reading: 20 %", "a faster disk"),
        (0.0, None, None, "cpu", {}, "computing", ""),
        (0.2, 90.0, 0.1, "cuda", {}, "reading: 20 %", "workers: 4, with threads: 6"),
        (0.2, 90.0, 0.1, "cuda", {"workers": 0}, "reading", "workers: 2, with threads: 4"),
        (0.0, 40.0, 0.1, "cuda", {}, "launching kernels: the GPU is busy 40 %", "graph: true"),
        (0.0, 40.0, 0.1, "cuda", {"compile": "default"}, "launching", "fits_per_gpu: 2, or a larger batch_size"),
        (0.0, 40.0, 0.1, "cuda", {"graph": True}, "launching", "fits_per_gpu: 2, or a larger batch_size"),
        (0.0, 40.0, 0.9, "cuda", {"compile": "default"}, "launching", ""),
        (0.0, 40.0, 0.1, "cuda", {"checkpointing": True}, "launching", "checkpointing: false"),
        (
            0.0,
            40.0,
            0.1,
            "cuda",
            {"batch_size": 4, "accumulate": 8},
            "launching",
            "batch_size: auto, with accumulate: 32",
        ),
        (0.0, 95.0, 0.1, "cuda", {}, "computing", "precision: auto, which is bf16 where"),
        (0.0, None, None, "cuda", {}, "computing", "precision: auto, which is bf16 where"),
        (0.0, 95.0, 0.1, "cuda", {"precision": "bf16"}, "computing", "deterministic: false"),
        (0.0, 95.0, 0.1, "cuda", {"precision": "bf16", "checkpointing": True}, "computing", "checkpointing: false"),
        (0.0, 95.0, 0.1, "cuda", {"precision": "bf16", "deterministic": False}, "computing", ""),
    ],
)
def test_the_remedy_is_one_that_the_settings_leave(waiting, busy, memory, device, changes, bound, remedy):
    found = verdict(waiting, busy, memory, device, settings_of("naive_cnn", workers=2) | changes)
    assert found[0].startswith(f"bound by {bound}")
    assert found[1].startswith(remedy)
    assert bool(found[1]) == bool(remedy)


def recorder(tmp_path):
    settings = settings_of("naive_cnn")
    return Recorder(settings, tmp_path / "history.csv", tmp_path, None, torch.device("cuda"), first=True)


class Batch:
    clips = range(4)


def epochs(made, number):
    for _ in range(number):
        for _ in made.timed(iter([Batch()] * 2), 2, 0):
            pass


def test_how_busy_the_gpu_is_is_seen_in_short_epochs_too(tmp_path, monkeypatch):
    times, looks = iter(range(1000)), iter([10, 30, 50])
    monkeypatch.setattr(recording.time, "monotonic", lambda: 0.15 * next(times))  # four times per step
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: next(looks))
    made = recorder(tmp_path)
    epochs(made, 3)  # of 1.2 s
    facts = made.close(0.25)
    assert (facts["device_utilisation"], facts["device_memory_share"]) == (30, 0.25)


def test_where_the_driver_cannot_tell_it_is_said_once(tmp_path, monkeypatch, caplog):
    def missing(device):
        raise ModuleNotFoundError("pynvml module not found")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(torch.cuda, "utilization", missing)
    made = recorder(tmp_path)
    epochs(made, 3)
    assert made.close(0.25)["device_utilisation"] is None
    assert caplog.text.count("how busy the GPU is cannot be told: pynvml module not found") == 1
