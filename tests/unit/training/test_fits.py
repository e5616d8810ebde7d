"""Whole fits: what they choose, and what they leave behind."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.fits import SIZE, Fitted, fitted, plan, settings_of, with_network, write_data
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clipfold.clips.reader import Clips
from clipfold.models.architectures import naive_cnn
from clipfold.models.device import Precision
from clipfold.models.embed import embed_shards
from clipfold.training.batches import BatchSource
from clipfold.training.distributed import Processes
from clipfold.training.on_clips import fit_here
from clipfold.training.predict import predict
from clipfold.training.task import Task
from clipfold.training.train_step import TrainStep


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def test_early_stopping_keeps_the_best_epoch_and_predicts_with_it(data, tmp_path):
    found = fitted(data, tmp_path, "naive_cnn", epochs=30, patience=2, learning_rate=0.3, schedule="constant")
    losses = found.history.val_loss
    best = int(losses.argmin())
    assert found.record["best_epoch"] == found.history.epoch[best]
    assert len(losses) == best + 1 + 2 < 30
    rows = found.predictions[found.predictions.split == "val"]
    assert sorted(found.predictions.split.unique()) == ["test", "val"]
    truth = np.where(rows.label == "c1", rows.p_c1, rows.p_c0)
    assert -np.log(np.clip(truth, 1e-7, 1)).mean() == pytest.approx(losses[best], rel=1e-5)
    network = naive_cnn.build(settings_of("naive_cnn"), 2)
    network.load_state_dict(found.weights)
    source = BatchSource(
        Clips(data["data"], 3, SIZE, SIZE), rows.id.tolist(), np.zeros(len(rows), int), torch.device("cpu"), 0, False
    )
    probabilities = predict(network, source, Precision("fp32", torch.device("cpu")), 8, Processes())
    np.testing.assert_allclose(probabilities[:, 1], rows.p_c1, atol=1e-5)


def test_views_of_test_videos_are_averaged_and_their_effect_is_recorded(data, tmp_path):
    one = fitted(data, tmp_path / "one", "naive_cnn", epochs=1)
    two = fitted(data, tmp_path / "two", "naive_cnn", epochs=1, views_at_test=2)
    assert two.bytes == one.bytes
    mirrored = {"data": data["data"] | {"clips": []}, "splits": data["splits"]}
    for number, path in enumerate(data["data"]["clips"]):
        mirrored["data"]["clips"].append(str(tmp_path / f"{number}.npy"))
        np.save(tmp_path / f"{number}.npy", np.load(path)[:, :, :, ::-1])
    network = naive_cnn.build(settings_of("naive_cnn"), 2)
    network.load_state_dict(one.weights)
    ids, device = two.predictions.id.tolist(), torch.device("cpu")
    source = BatchSource(Clips(mirrored["data"], 3, SIZE, SIZE), ids, np.zeros(len(ids), int), device, 0, False)
    other = predict(network, source, Precision("fp32", device), 8, Processes())
    np.testing.assert_allclose(two.predictions.p_c1, (one.predictions.p_c1 + other[:, 1]) / 2, atol=1e-6)
    tested = [each.predictions[each.predictions.split == "test"] for each in (one, two)]
    accuracy = [((rows.p_c1 > 0.5) == (rows.label == "c1")).mean() for rows in tested]
    assert two.record["views_at_test"]["accuracy"] == accuracy
    losses = [-np.log(np.where(rows.label == "c1", rows.p_c1, rows.p_c0)).mean() for rows in tested]
    assert two.record["views_at_test"]["log_loss"] == pytest.approx(losses, rel=1e-5)
    assert losses[0] != losses[1]
    assert "views_at_test" not in one.record


def test_validation_and_prediction_have_batches_of_their_own(data, tmp_path, monkeypatch):
    seen = []

    def watch(network):
        network.register_forward_pre_hook(lambda net, inputs: None if net.training else seen.append(len(inputs[0])))

    plain = fitted(data, tmp_path / "plain", "naive_cnn", epochs=1)
    with_network(monkeypatch, "naive_cnn", watch)
    fitted(data, tmp_path / "own", "naive_cnn", epochs=1, predict_batch=2).assert_close(plain)
    assert seen == [2, 2, 1] * 2 + [2, 1]  # of 5 videos for validation and 3 for the test


def test_a_plateau_takes_the_rate_to_a_tenth(data, tmp_path):
    changes = {"schedule": "plateau", "plateau_patience": 2, "epochs": 12, "patience": 12, "learning_rate": 1.0}
    history = fitted(data, tmp_path, "naive_cnn", **changes, clip_norm=0.0).history
    rate, best, stale = 1.0, np.inf, 0
    for row in history.itertuples():
        assert row.learning_rate == pytest.approx(rate)
        best, stale = (row.val_loss, 0) if row.val_loss < best else (best, stale + 1)
        if stale == 2:
            rate, stale = rate / 10, 0
    assert history.learning_rate.iloc[-1] < 1


def test_averaged_weights_are_the_running_mean_of_those_of_each_step(data, tmp_path, monkeypatch):
    networks, after = [], []
    call = TrainStep.__call__

    def noting(self, *arguments):
        call(self, *arguments)
        after.append({name: value.clone() for name, value in networks[0].state_dict().items()})

    monkeypatch.setattr(TrainStep, "__call__", noting)
    with_network(monkeypatch, "naive_cnn", networks.append)
    found = fitted(data, tmp_path, "naive_cnn", ema=0.8, epochs=1)
    for name, value in found.weights.items():
        if value.is_floating_point():
            mean = after[0][name]
            for state in after[1:]:
                mean = 0.8 * mean + 0.2 * state[name]
            torch.testing.assert_close(value, mean)


def test_averaging_and_recomputing_activations_go_together(data, tmp_path):
    changes = {"ema": 0.8, "dropout": 0.3, "precision": "bf16"}
    plain = fitted(data, tmp_path / "plain", "naive_cnn", **changes)
    recomputed = fitted(data, tmp_path / "recomputed", "naive_cnn", **changes, checkpointing=True)
    recomputed.assert_close(plain)
    assert recomputed.history.val_loss.tolist() == pytest.approx(plain.history.val_loss.tolist(), abs=1e-6)


def test_records_are_written_and_can_be_read(data, tmp_path):
    changes = {"tensorboard": True, "profile": True, "memory_detail": True, "batch_size": 1, "epochs": 2}
    found = fitted(data, tmp_path, "naive_cnn", **changes)
    read = EventAccumulator(str(tmp_path / "scratch")).Reload()
    assert [event.step for event in read.Scalars("val_loss")] == [1, 2]
    values = [event.value for event in read.Scalars("val_loss")]
    assert values == pytest.approx(found.history.val_loss.tolist(), rel=1e-6)
    assert "class 1" in str(read.Tags())
    image = read.Images("clips")[0]
    assert (image.width, image.height) == (3 * SIZE, 4 * SIZE)
    trace = json.loads((tmp_path / "scratch/trace.json").read_text())
    assert any("conv" in str(event.get("name")) for event in trace["traceEvents"])
    memory = found.record["memory"]
    assert {"reading", "building", "training", "predicting"} <= set(memory)
    weights = sum(value.numel() for name, value in found.weights.items() if "running" not in name and "num" not in name)
    assert memory["tensors_mb"]["optimizer"] == pytest.approx(2 * weights * 4 / 2**20, abs=0.01)
    activations = memory["activations_of_a_clip_mb"]
    assert activations["blocks.0.0"] == pytest.approx(4 * 3 * 16 * 16 * 4 / 2**20, abs=0.005)
    assert list(activations.values()) == sorted(activations.values(), reverse=True)
    assert found.record["speed"]["clips_per_second"] > 0
    assert found.record["speed"]["verdict"].startswith("bound by")
    reading = found.record["speed"]["verdict"].startswith("bound by reading")  # as on a busy machine
    assert found.record["speed"]["remedy"] == ("a faster disk" if reading else "")
    assert found.record["speed"]["device_memory_share"] is None
    assert found.record["determinism"] == "full"
    assert found.record["train_videos"] == 9
    assert not (tmp_path / "scratch/checkpoint.pt").exists()


def test_an_epoch_shorter_than_the_profilers_schedule_leaves_a_trace_too(data, tmp_path):
    fitted(data, tmp_path, "naive_cnn", profile=True, epochs=3)
    assert json.loads((tmp_path / "scratch/trace.json").read_text())["traceEvents"]


def test_a_fit_learns_what_can_be_learned_of_several_classes(tmp_path):
    data = write_data(tmp_path / "data", train=12, val=6, test=6, classes=3)
    changes = {"epochs": 12, "learning_rate": 0.01, "dropout": 0.0, "class_weight": "none"}
    found = fitted(data, tmp_path / "fit", "naive_cnn", **changes)
    columns = ["p_c0", "p_c1", "p_c2"]
    assert found.predictions[columns].sum(axis=1).to_numpy() == pytest.approx(1)
    right = found.predictions[columns].to_numpy().argmax(1) == found.predictions.label.str[1:].astype(int)
    assert right.mean() > 0.9
    assert found.history.train_loss.iloc[-1] < found.history.train_loss.iloc[0] / 2


def test_the_temporal_part_on_embeddings_gives_what_the_frozen_whole_gives(data, tmp_path):
    whole = plan(data, tmp_path / "whole", "vit_gru", freeze=True, dropout=0.3, learning_rate=1e-3)
    fit_here(Task(**whole))
    files = dict(data["data"])
    for kind in ("clips", "augmented"):
        files[kind] = [str(tmp_path / f"{kind}{shard}.npy") for shard in range(2)]
        for source, target in zip(data["data"][kind], files[kind], strict=True):
            embed_shards({target: [source]}, tmp_path / "facts.json", whole["settings"], Task(**whole).training_seed, 1)
    arguments = plan(data | {"data": files}, tmp_path / "part", "vit_gru", freeze=True, dropout=0.3, learning_rate=1e-3)
    fit_here(Task(**arguments))
    whole, part = Fitted(whole), Fitted(arguments)
    pd.testing.assert_frame_equal(part.predictions, whole.predictions, rtol=0, atol=1e-5)
    assert set(part.weights) == {name for name in whole.weights if name.startswith("temporal.")}
    for name, value in part.weights.items():
        torch.testing.assert_close(value, whole.weights[name], rtol=0, atol=1e-5)


def test_a_fit_that_found_no_gpu_says_so(data, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ValueError, match="device is 'cuda', but CUDA_VISIBLE_DEVICES is '', which hides all GPUs"):
        fitted(data, tmp_path / "cuda", "naive_cnn", device="cuda")
    found = fitted(data, tmp_path / "auto", "naive_cnn", epochs=1)
    assert found.record["device"] == "cpu"
    assert found.record["why_cpu"].startswith("CUDA_VISIBLE_DEVICES is ''")
    assert f"computing on the CPU: {found.record['why_cpu']}" in caplog.text
    caplog.clear()
    assert fitted(data, tmp_path / "cpu", "naive_cnn", epochs=1, device="cpu").record["why_cpu"] == "device is 'cpu'"
    assert "CPU" not in caplog.text


def test_the_same_seed_gives_the_same_bits_and_another_others(data, tmp_path):
    one, again = (fitted(data, tmp_path / f"{i}", "naive_cnn", workers=i) for i in range(2))
    one.assert_same(again)
    arguments = plan(data, tmp_path / "other", "naive_cnn") | {"seed": 8}
    fit_here(Task(**arguments))
    assert Fitted(arguments).bytes != one.bytes
