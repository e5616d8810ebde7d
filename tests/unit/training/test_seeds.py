"""Several trainings of one fold: each of its own start, together one model, the same bits after a kill."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.fits import SIZE, Fitted, fitted, plan, with_network, write_data

from clipfold.clips.reader import Clips
from clipfold.explain.attribution import attribute
from clipfold.explain.on_clips import explain
from clipfold.explain.task import ExplainTask
from clipfold.models.clip_model import rebuild
from clipfold.models.load import load
from clipfold.storage.files import read_json, read_table, write_json
from clipfold.training import final_on_clips
from clipfold.training.final import FinalTask, read_rates
from clipfold.training.on_clips import fit
from clipfold.training.task import Task


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def three(data, tmp_path_factory):
    arguments = plan(data, tmp_path_factory.mktemp("three"), "naive_cnn", seeds=3)
    fit(Task(**arguments))
    return arguments


def test_a_model_is_the_mean_of_its_trainings_and_the_first_is_that_of_one_seed(data, three, tmp_path):
    found = Fitted(three)
    once = fitted(data, tmp_path, "naive_cnn")
    for name in ("c0", "c1"):
        each = found.predictions[[f"p{k}_{name}" for k in range(3)]].to_numpy()
        assert np.array_equal(found.predictions[f"p_{name}"], each.mean(axis=1))
        assert np.array_equal(each[:, 0], once.predictions[f"p_{name}"])
        assert len(np.unique(each[0])) == 3
    assert all(found.weights[f"0.{name}"].equal(value) for name, value in once.weights.items())
    first = found.history[found.history.training == 0].drop(columns=["training", "seconds"])
    pd.testing.assert_frame_equal(first, once.history.drop(columns="seconds"))
    assert "p0_c0" not in once.predictions


def test_the_record_adds_up_the_trainings(three):
    record = Fitted(three).record
    assert record["seconds"] == sum(each["seconds"] for each in record["trainings"])
    assert len(record["trainings"]) == record["settings"]["seeds"] == 3
    assert [len(rates) for rates in read_rates([three["outputs"]["history"]])] == [2, 2, 2]
    assert not Path(three["scratch"]).exists()


def test_the_effect_of_views_is_the_mean_of_the_trainings(data, tmp_path):
    arguments = plan(data, tmp_path, "naive_cnn", seeds=2, epochs=1, views_at_test=2)
    fit(Task(**arguments))
    found = Fitted(arguments)
    rows = found.predictions.query("split == 'test'")
    right = [np.where(rows.label == "c1", rows[f"p{k}_c1"], rows[f"p{k}_c0"]) for k in range(2)]
    losses = [-np.log(each).mean() for each in right]
    assert losses[0] != losses[1]
    assert found.record["views_at_test"]["log_loss"][1] == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_loaded_model_predicts_what_was_scored(data, three, tmp_path):
    rows = Fitted(three).predictions.query("split == 'test'")
    clips = Clips(data["data"], 4, SIZE, SIZE)
    given = {"clips": clips.gather(list(rows.id)), "boxes": clips.boxes(list(rows.id))}
    model = load(Path(three["outputs"]["record"]).parent)
    assert np.array_equal(model.predict_proba(**given), rows[["p_c0", "p_c1"]].to_numpy())


def test_the_evidence_shown_is_the_mean_of_all_trainings(data, three, tmp_path):
    outputs, table = three["outputs"], tmp_path / "explained.parquet"
    given = {"seed": 0, "threads": 1, "stored_size": SIZE, "errors": 2, "hits": 1, "output": table}
    files = {"models": [outputs["model"]], "predictions": [outputs["predictions"]], "records": [outputs["record"]]}
    explain(ExplainTask(settings=three["settings"], data=data["data"], **files, **given))
    row = read_table(table).to_pandas().iloc[0]
    clips = Clips(data["data"], 3, SIZE, SIZE)
    shown = torch.from_numpy(clips.gather([row.id])[0]), torch.from_numpy(clips.boxes([row.id])[0])
    networks = [rebuild(read_json(outputs["record"]), outputs["model"], training=k) for k in range(3)]
    each = [attribute(network, *shown, int(row.predicted == "c1")) for network in networks]
    assert len({rise for _, rise in each}) == 3
    assert row.share == pytest.approx(sum(p.sum().item() for p, _ in each) / sum(rise for _, rise in each), rel=1e-4)


@pytest.mark.parametrize("seeds", [0, -1, "3", True])
def test_a_record_from_strangers_needs_a_number_of_trainings(three, tmp_path, seeds):
    record = json.loads(Path(three["outputs"]["record"]).read_text())
    record["settings"]["seeds"] = seeds
    write_json(tmp_path / "fit.json", record)
    (tmp_path / "model.safetensors").write_bytes(Path(three["outputs"]["model"]).read_bytes())
    with pytest.raises(ValueError, match=r"fit\.json: seeds is .*use a whole number, 1 or more"):
        load(tmp_path)


@pytest.mark.parametrize("forward", [4, 8])  # in the second epoch of the first training; in the second training
def test_stopped_in_any_training_a_fit_resumes_there_and_ends_with_the_same_bits(
    data, three, forward, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    arguments = plan(data, tmp_path, "naive_cnn", seeds=3)
    passes = iter(range(100))

    def stop_later(network):
        def count(net, inputs):
            if net.training and next(passes) == forward:
                os.kill(os.getpid(), signal.SIGTERM)

        network.register_forward_pre_hook(count)

    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", stop_later)
        with pytest.raises(SystemExit):
            fit(Task(**arguments))
    caplog.clear()
    fit(Task(**arguments))
    assert caplog.text.count("resuming at epoch") == 1
    assert caplog.text.count("training 1 of 3") == (forward == 4)
    Fitted(arguments).assert_same(Fitted(three))


def test_finished_trainings_of_other_settings_are_not_taken(data, three, tmp_path, monkeypatch):
    other = plan(data, tmp_path, "naive_cnn", seeds=3, learning_rate=0.5)
    passes = iter(range(100))

    def stop(net, inputs):
        if net.training and next(passes) == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", lambda network: network.register_forward_pre_hook(stop))
        with pytest.raises(KeyboardInterrupt):
            fit(Task(**other))
    assert (tmp_path / "scratch/training-0/finished").exists()
    mine = plan(data, tmp_path, "naive_cnn", seeds=3)
    fit(Task(**mine))
    Fitted(mine).assert_same(Fitted(three))


def test_a_final_model_is_trained_as_often(data, three, tmp_path):
    arguments = plan(data, tmp_path, "naive_cnn", seeds=2) | {"fold": None}
    del arguments["outputs"]["predictions"]
    outputs = three["outputs"]
    final_on_clips.fit(FinalTask(**arguments, records=[outputs["record"]], histories=[outputs["history"]]))
    record = read_json(arguments["outputs"]["record"])
    assert (record["fold"], record["epochs"], len(record["trainings"])) == (
        None,
        read_json(outputs["record"])["best_epoch"],
        2,
    )
    assert load(tmp_path).predict_proba(clips=np.zeros((2, 4, SIZE, SIZE, 3), np.uint8)).shape == (2, 2)


def test_every_training_of_every_fold_has_a_seed_of_its_own(data, tmp_path):
    arguments = plan(data, tmp_path, "naive_cnn")
    tasks = [
        Task(**arguments | {"fold": k, "number": n, "seed": s}) for k in range(10) for n in range(5) for s in (0, 1)
    ]
    assert len({task.training_seed for task in tasks}) == 100
    assert tasks[0].training_seed == 303972234  # the same on every machine
