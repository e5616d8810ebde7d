"""Fits on all data: what they take from the folds, and that nothing else decides."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from helpers.fits import SIZE, at_forward, plan, settings_of, with_network, write_data
from helpers.plain_loop import trained_by_hand
from safetensors.torch import load_file

from clipfold.models.architectures import logistic_regression
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.load import load
from clipfold.storage.files import read_json, read_table, write_json, write_table
from clipfold.training import final_on_features, final_on_predictions
from clipfold.training.final import FinalTask, median_epoch, plateau_factors
from clipfold.training.final_on_clips import fit_here
from clipfold.training.fold import read_fold
from clipfold.training.launch import launch

RATE = 0.01


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Clips of 17 videos, and two folds of them."""
    made = write_data(tmp_path_factory.mktemp("data"))
    first = read_table(made["splits"]).to_pandas()
    second = first.assign(fold=1, split=np.roll(first.split, 3))
    write_table(made["splits"], pa.Table.from_pandas(pd.concat([first, second]), preserve_index=False))
    return made


def final_plan(data, folder, architecture, best=(1, 4, 2), rates=((RATE,),), **changes):
    """Make the arguments of a fit on all data after folds that were best at some epochs."""
    arguments = plan(data, folder, architecture, **changes) | {"fold": None}
    del arguments["outputs"]["predictions"]
    before = Path(folder, "folds")
    before.mkdir(parents=True)
    for fold, epoch in enumerate(best):
        write_json(before / f"{fold}.json", {"best_epoch": epoch})
    for fold, each in enumerate(rates):
        pd.DataFrame({"learning_rate": each}).to_csv(before / f"{fold}.csv", index=False)
    files = [sorted(map(str, before.glob(f"*.{suffix}"))) for suffix in ("json", "csv")]
    return arguments | dict(zip(("records", "histories"), files, strict=True))


def outputs_of(arguments):
    outputs = arguments["outputs"]
    return Path(outputs["model"]).read_bytes(), pd.read_csv(outputs["history"]), read_json(outputs["record"])


def test_all_videos_are_those_of_the_folds_each_once(data):
    fold = read_fold(data["splits"], None)
    assert fold.ids("train") == sorted(set(read_table(data["splits"]).to_pandas().id))
    assert fold.classes == ["c0", "c1"]
    assert [f"c{target}" for target in fold.targets("train")] == fold.table.label.tolist()
    assert fold.ids("val") == fold.ids("test") == []


def test_a_network_trains_for_the_median_of_the_best_epochs_as_a_plain_loop_over_all_videos_does(data, tmp_path):
    changes = {"dropout": 0.0, "class_weight": "none", "clip_norm": 0.0, "epochs": 6, "learning_rate": RATE}
    arguments = final_plan(data, tmp_path, "naive_cnn", **changes, tensorboard=True, memory_detail=True)
    fit_here(FinalTask(**arguments))
    settings, every = settings_of("naive_cnn", **changes), sorted(set(read_table(data["splits"])["id"].to_pylist()))
    weights, rates = trained_by_hand(data, every, settings, 2, FinalTask(**arguments).training_seed)
    _, history, record = outputs_of(arguments)
    torch.testing.assert_close(load_file(arguments["outputs"]["model"]), weights, rtol=0, atol=1e-5)
    assert history.epoch.tolist() == [1, 2]
    assert history.learning_rate.tolist() == pytest.approx(rates)
    assert rates[-1] > RATE / 2  # two of six epochs: far from the end of the schedule
    assert (record["fold"], record["epochs"], record["settings"]["epochs"]) == (None, 2, 6)
    assert (record["train_videos"], record["val_videos"], record["test_videos"]) == (17, 0, 0)
    assert "tensors_mb" in record["memory"]
    assert load(tmp_path).predict_proba(clips=np.zeros((2, 4, SIZE, SIZE, 3), np.uint8)).shape == (2, 2)


def test_the_median_of_an_even_number_is_rounded_up():
    assert median_epoch([{"best_epoch": epoch} for epoch in (1, 2, 5, 9)]) == 4


def test_on_a_plateau_the_rate_falls_when_it_fell_in_half_of_the_folds(data, tmp_path):
    rates = [[RATE, RATE / 10, RATE / 10], [RATE, RATE, RATE / 10, RATE / 100], [RATE]]
    changes = {"schedule": "plateau", "epochs": 9, "learning_rate": RATE}
    arguments = final_plan(data, tmp_path, "naive_cnn", best=(3, 4, 4), rates=rates, **changes)
    fit_here(FinalTask(**arguments))
    assert outputs_of(arguments)[1].learning_rate.tolist() == pytest.approx([RATE, RATE, RATE / 10, RATE / 10])


def test_the_rise_of_a_warm_up_is_no_plateau():
    assert plateau_factors([[0.2, 0.6, 1.0, 1.0]], 6).tolist() == [1.0] * 6


def test_stopped_and_out_of_memory_it_comes_to_the_same_bits(data, tmp_path, monkeypatch):
    changes = {"flip": 0.5, "ema": 0.9, "epochs": 4}
    whole = final_plan(data, tmp_path / "whole", "naive_cnn", **changes)
    fit_here(FinalTask(**whole))
    broken = final_plan(data, tmp_path / "broken", "naive_cnn", **changes)

    def out_of_memory():
        raise torch.OutOfMemoryError

    def change(network):
        at_forward(network, 1, out_of_memory)
        at_forward(network, 8, lambda: os.kill(os.getpid(), signal.SIGTERM))

    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", change)
        with pytest.raises(SystemExit):
            fit_here(FinalTask(**broken))
    assert (tmp_path / "broken/scratch/checkpoint.pt").exists()
    assert not (tmp_path / "broken/fit.json").exists()
    fit_here(FinalTask(**broken))
    (expected, history, _), (found, again, record) = outputs_of(whole), outputs_of(broken)
    assert found == expected
    pd.testing.assert_frame_equal(again.drop(columns="seconds"), history.drop(columns="seconds"))
    assert record["out_of_memory"]["repeated"] == [1]
    assert not (tmp_path / "broken/scratch").exists()


def test_a_checkpoint_after_other_folds_is_ignored(data, tmp_path, monkeypatch, caplog):
    arguments = final_plan(data, tmp_path, "naive_cnn")
    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", lambda net: at_forward(net, 6, lambda: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(SystemExit):
            fit_here(FinalTask(**arguments))
    Path(arguments["records"][2]).write_text(json.dumps({"best_epoch": 1}))
    fit_here(FinalTask(**arguments))
    assert "belongs to other settings or data: starting over" in caplog.text
    assert outputs_of(arguments)[1].epoch.tolist() == [1]


@pytest.mark.slow
def test_two_processes_come_to_the_weights_of_one(data, tmp_path):
    changes = {"dropout": 0.0, "optimizer": "sgd", "learning_rate": 1e-3, "clip_norm": 0.0}
    one, two = (final_plan(data, tmp_path / name, "vit_gru", **changes) for name in ("one", "two"))
    fit_here(FinalTask(**one))
    launch(FinalTask(**two), "clipfold.training.final_on_clips", 2)
    weights = [load_file(each["outputs"]["model"]) for each in (one, two)]
    torch.testing.assert_close(*weights, rtol=0, atol=1e-5)
    assert outputs_of(two)[2]["processes"] == 2


def write_features(folder, data):
    ids = sorted(set(read_table(data["splits"]).to_pandas().id))
    table = pd.DataFrame(
        np.random.default_rng(0).normal(size=(len(ids), 3)), columns=["motion.a", "noise.b", "frame.c"]
    )
    path = Path(folder, "features.parquet")
    write_table(path, pa.Table.from_pandas(table.assign(id=ids), preserve_index=False))
    return str(path), table[["motion.a", "noise.b"]].to_numpy(), ids


def test_a_model_on_features_is_fitted_on_all_rows(data, tmp_path):
    path, x, ids = write_features(tmp_path, data)
    known = ARCHITECTURES["logistic_regression"]
    arguments = final_plan(data, tmp_path, "naive_cnn") | {"module": known.module}
    arguments |= {"settings": known.settings | {"C": 1.0}, "data": {"features": [path]}}
    arguments["outputs"]["model"] = str(tmp_path / "model.skops")
    for record in arguments["records"]:
        write_json(record, {"features": ["motion.a", "noise.b"]})
    final_on_features.fit(FinalTask(**arguments))
    labels = read_table(data["splits"]).to_pandas().drop_duplicates("id").set_index("id").label.loc[ids]
    by_hand = logistic_regression.build(arguments["settings"], 7).fit(x, labels.eq("c1").astype(int))
    np.testing.assert_array_equal(load(tmp_path).predict_proba(features=x), by_hand.predict_proba(x))
    record = read_json(tmp_path / "fit.json")
    assert (record["fold"], record["train_videos"], record["features"]) == (None, 17, ["motion.a", "noise.b"])


def test_an_ensemble_mixes_final_members_as_its_folds_found(data, tmp_path):
    path, x, _ = write_features(tmp_path, data)
    for member, strength in (("weak", 0.01), ("strong", 10.0)):
        folder = tmp_path / member / "final"
        arguments = final_plan(data, folder, "naive_cnn") | {"data": {"features": [path]}}
        known = ARCHITECTURES["logistic_regression"]
        arguments |= {"module": known.module, "settings": known.settings | {"C": strength}}
        arguments["outputs"]["model"] = str(folder / "model.skops")
        for record in arguments["records"]:
            write_json(record, {"features": ["motion.a", "noise.b"]})
        final_on_features.fit(FinalTask(**arguments))
    folder = tmp_path / "ensemble/final"
    arguments = final_plan(data, folder, "naive_cnn", best=(1, 1)) | {"data": {}}
    arguments |= {
        "module": "clipfold.training.on_predictions",
        "settings": {"members": ["weak", "strong"], "mix": "mean"},
    }
    arguments["outputs"]["model"] = str(folder / "model.json")
    for record, weight in zip(arguments["records"], (0.1, 0.4), strict=True):
        write_json(record, {"weights": {"weak": weight, "strong": 1 - weight}})
    final_on_predictions.fit(FinalTask(**arguments))
    weak, strong = (load(tmp_path / member / "final").predict_proba(features=x) for member in ("weak", "strong"))
    found = load(folder).predict_proba(features=x)
    np.testing.assert_allclose(found, 0.25 * weak + 0.75 * strong, rtol=0, atol=1e-12)
    sure = np.sort(weak.max(axis=1))
    arguments["settings"] = {"members": ["weak", "strong"], "mix": "cascade", "loss": 0.01}
    for record, enough in zip(arguments["records"], (sure[5], sure[2]), strict=True):
        write_json(record, {"enough": enough})
    final_on_predictions.fit(FinalTask(**arguments))  # the highest of the bounds
    found, exits = load(folder).predict_proba(features=x), weak.max(axis=1) >= sure[5]
    assert 0 < exits.sum() < len(exits)
    np.testing.assert_array_equal(found, np.where(exits[:, None], weak, strong))
