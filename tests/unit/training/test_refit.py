"""Trained again on train and validation: what the second training takes from the first, and what it must not touch."""

import json
import os
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.fits import SIZE, Fitted, at_forward, fitted, plan, with_network, write_data
from helpers.plain_loop import trained_by_hand

from clipfold.clips.reader import Clips
from clipfold.models.embed import embed_shards
from clipfold.models.load import load
from clipfold.storage.files import read_table, write_json, write_table
from clipfold.training import refit
from clipfold.training.final import read_rates
from clipfold.training.on_clips import fit, fit_here
from clipfold.training.task import Task

CHANGES = {"refit": True, "dropout": 0.0, "clip_norm": 0.0, "epochs": 4, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Clips of 17 videos: 9 to train, 5 to validate, 3 to test, of which the last has no label."""
    made = write_data(tmp_path_factory.mktemp("data"))
    rows = read_table(made["splits"]).to_pylist()
    rows[-1] |= {"label": None, "split": "unlabelled"}
    write_table(made["splits"], type(read_table(made["splits"])).from_pylist(rows))
    return made


@pytest.fixture(scope="module")
def twice(data, tmp_path_factory):
    arguments = plan(data, tmp_path_factory.mktemp("twice"), "naive_cnn", **CHANGES)
    fit(Task(**arguments))
    return arguments


@pytest.fixture(scope="module")
def once(data, tmp_path_factory):
    return fitted(data, tmp_path_factory.mktemp("once"), "naive_cnn", **CHANGES | {"refit": False})


def probabilities(found, *splits):
    return found.predictions[found.predictions.split.isin(splits)].set_index("id")[["p_c0", "p_c1"]]


def test_the_model_is_that_of_a_plain_loop_over_train_and_validation(data, twice):
    found, settings = Fitted(twice), twice["settings"]
    rows = read_table(data["splits"]).to_pandas()
    seen = sorted(rows.id[rows.split.isin(("train", "val"))])
    epochs, seed = found.record["best_epoch"], Task(**twice).training_seed
    weights, rates = trained_by_hand(data, seen, settings, epochs, seed)
    torch.testing.assert_close(found.weights, dict(weights), rtol=0, atol=1e-5)
    assert found.history[found.history.refit].learning_rate.tolist() == pytest.approx(rates)


def test_validation_videos_are_predicted_by_the_training_that_has_not_seen_them(data, twice, once):
    found = Fitted(twice)
    pd.testing.assert_frame_equal(probabilities(found, "val"), probabilities(once, "val"), check_exact=True)
    assert found.predictions.split.value_counts().to_dict() == {"val": 5, "test": 2, "unlabelled": 1}
    new = probabilities(found, "test", "unlabelled")
    assert (new != probabilities(once, "test", "unlabelled")).to_numpy().all()
    clips, model = Clips(data["data"], 4, SIZE, SIZE), load(Path(twice["outputs"]["record"]).parent)
    given = {"clips": clips.gather(list(new.index)), "boxes": clips.boxes(list(new.index))}
    assert model.predict_proba(**given) == pytest.approx(new.to_numpy(), abs=1e-6)


def test_the_record_says_what_both_trainings_took(twice, once):
    found = Fitted(twice)
    record, phases = found.record, found.record["phases"]
    assert (phases["choosing"]["videos"], phases["refit"]["videos"]) == (9, 14)
    assert record["best_epoch"] == phases["refit"]["epochs"] == once.record["best_epoch"]
    assert record["seconds"] == phases["choosing"]["seconds"] + phases["refit"]["seconds"]
    assert [record[f"{split}_videos"] for split in ("train", "val", "test")] == [9, 5, 2]
    assert set(record) == set(once.record) | {"phases"}
    assert read_rates([twice["outputs"]["history"]]) == [once.history.learning_rate.tolist()]
    assert not Path(twice["scratch"]).exists()


class Killed(Exception):
    """In place of a kill."""


def stop_at(training, forward, act):
    """Call `act` before a forward pass of a training, which begins with 0."""
    built = iter(range(10))
    return lambda network: at_forward(network, forward, act) if next(built) == training else None


@pytest.mark.parametrize("training", [0, 1])
@pytest.mark.parametrize(("forward", "asked"), [(0, False), (2, True), (5, False)])  # killed, asked to stop, killed
def test_stopped_in_either_training_a_fit_ends_with_the_same_bits(
    data, twice, training, forward, asked, tmp_path, monkeypatch, caplog
):
    def stop():
        if asked:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            raise Killed

    caplog.set_level("INFO")
    arguments = plan(data, tmp_path, "naive_cnn", **CHANGES)
    with monkeypatch.context() as patch:
        with_network(patch, "naive_cnn", stop_at(training, forward, stop))
        with pytest.raises((SystemExit, Killed)):
            fit(Task(**arguments))
    assert (tmp_path / "scratch/choosing/finished").exists() == bool(training)
    caplog.clear()
    fit(Task(**arguments))
    assert ("training to choose the epoch" in caplog.text) == (not training)
    assert caplog.text.count("resuming at") == (asked or forward == 5)
    Fitted(arguments).assert_same(Fitted(twice))


def test_killed_after_both_trainings_nothing_is_trained_again(data, twice, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    arguments = plan(data, tmp_path, "naive_cnn", **CHANGES)
    with monkeypatch.context() as patch:
        patch.setattr(refit, "write_json", lambda *ignored: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fit(Task(**arguments))
    caplog.clear()
    fit(Task(**arguments))
    assert "training" not in caplog.text
    Fitted(arguments).assert_same(Fitted(twice))


def test_killed_while_it_tidies_up_a_fit_ends_with_the_same_bits(data, twice, tmp_path, monkeypatch):
    arguments, unlink, removed = plan(data, tmp_path, "naive_cnn", **CHANGES), Path.unlink, []

    def stop(path, missing_ok=False):
        if Path(arguments["outputs"]["record"]).exists() and path.is_file():
            removed.append(path)
            if len(removed) == 3:
                raise Killed
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stop)
        with pytest.raises(Killed):
            fit(Task(**arguments))
    fit(Task(**arguments))
    Fitted(arguments).assert_same(Fitted(twice))


def test_memory_that_runs_out_in_either_training_changes_no_bit_and_is_recorded(data, twice, tmp_path, monkeypatch):
    def out_of_memory():
        raise torch.OutOfMemoryError

    arguments = plan(data, tmp_path, "naive_cnn", **CHANGES)
    with_network(monkeypatch, "naive_cnn", lambda network: at_forward(network, 1, out_of_memory))
    fit(Task(**arguments))
    found = Fitted(arguments)
    found.assert_same(Fitted(twice))
    assert [found.record["phases"][name]["out_of_memory"] for name in ("choosing", "refit")] == [
        {"repeated": [1], "halved": []}
    ] * 2


def test_each_of_several_trainings_is_refitted_for_its_own_epochs(data, twice, tmp_path):
    arguments = plan(data, tmp_path, "naive_cnn", **CHANGES, seeds=2)
    fit(Task(**arguments))
    found, first = Fitted(arguments), Fitted(twice)
    assert all(found.weights[f"0.{name}"].equal(value) for name, value in first.weights.items())
    own = found.predictions[["p0_c0", "p0_c1"]].to_numpy()
    assert np.array_equal(own, first.predictions[["p_c0", "p_c1"]])
    for each in found.record["trainings"]:
        assert each["phases"]["refit"]["epochs"] == each["best_epoch"]
    assert "phases" not in found.record
    assert [len(rates) for rates in read_rates([arguments["outputs"]["history"]])] == [4, 4]
    assert not Path(arguments["scratch"]).exists()


def test_the_rates_of_a_plateau_are_those_of_the_first_training(data, tmp_path):
    changes = CHANGES | {"schedule": "plateau", "epochs": 9}
    arguments = plan(data, tmp_path, "naive_cnn", **changes)
    chosen = {"record": str(tmp_path / "first.json"), "history": str(tmp_path / "first.csv")}
    write_json(chosen["record"], {"best_epoch": 3})
    pd.DataFrame({"learning_rate": [0.01, 0.001, 0.001, 0.001]}).to_csv(chosen["history"], index=False)
    several = json.loads(json.dumps(asdict(Task(**arguments, chosen_by=chosen)), default=str))  # as one of several
    fit_here(Task(**several))
    assert Fitted(arguments).history.learning_rate.tolist() == pytest.approx([0.01, 0.001, 0.001])
    assert set(Fitted(arguments).predictions.split) == {"test", "unlabelled"}


def test_the_temporal_part_on_embeddings_is_refitted_too(data, tmp_path):
    settings = plan(data, tmp_path, "vit_gru", freeze=True)["settings"]
    files = dict(data["data"])
    for kind in ("clips", "augmented"):
        files[kind] = [str(tmp_path / f"{kind}{shard}.npy") for shard in range(2)]
        for source, target in zip(data["data"][kind], files[kind], strict=True):
            embed_shards({target: [source]}, tmp_path / "facts.json", settings, 7, 1)
    embedded = data | {"data": files}
    arguments = plan(embedded, tmp_path / "twice", "vit_gru", freeze=True, refit=True, learning_rate=1e-3)
    fit(Task(**arguments))
    found = Fitted(arguments)
    plain = fitted(embedded, tmp_path / "once", "vit_gru", freeze=True, learning_rate=1e-3)
    pd.testing.assert_frame_equal(probabilities(found, "val"), probabilities(plain, "val"), check_exact=True)
    assert (probabilities(found, "test") != probabilities(plain, "test")).to_numpy().all()
    assert found.weights.keys() == plain.weights.keys()
    assert found.record["encoder"] == plain.record["encoder"]
