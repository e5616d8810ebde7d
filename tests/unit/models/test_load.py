"""Loading: a fitted model of any kind predicts elsewhere what it predicted in its own fold."""

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from helpers.fits import SIZE, plan, settings_of, write_data
from safetensors.torch import save_file

from clipfold.clips.resize import resize_clip, resize_shard
from clipfold.models import clip_model, stored_clips
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.clip_model import embed
from clipfold.models.embed import embed_shards
from clipfold.models.encoders import encoder
from clipfold.models.load import FeatureModel, load
from clipfold.models.record import read_record
from clipfold.models.shared_clips import SharedClips
from clipfold.storage.files import read_json, read_table, write_json, write_table
from clipfold.training import on_clips, on_features, on_predictions
from clipfold.training.task import Task

FEATURE_MODELS = ["logistic_regression", "svm", "feature_mlp", "gradient_boosting"]
NETWORKS = {
    "plain": ("naive_cnn", {"batch_size": 2}),
    "half": ("naive_cnn", {"precision": "bf16"}),
    "boxed": ("variable_ar_cnn", {}),
    "views": ("variable_ar_cnn", {"views_at_test": 2}),
    "small": ("naive_cnn", {"size": 16}),
    "frames": ("vit_gru", {}),
    "frozen": ("vit_gru", {"freeze": True, "dropout": 0.3}),
    "last_blocks": ("vit_gru", {"freeze": True, "unfreeze_blocks": 1}),
    "low_rank": ("vit_gru", {"freeze": True, "lora_rank": 2, "learning_rate": 0.01}),
    "low_rank_half": ("vit_gru", {"freeze": True, "lora_rank": 2, "learning_rate": 0.01, "precision": "bf16"}),
}
EMBEDDED = {"random": "", "from_file": "encoder.safetensors"}
SUFFIX = {"features": "skops", "clips": "safetensors", "predictions": "json"}


@dataclass
class Run:
    """The fits of a run, its clips by video, and the boxes of their content."""

    folder: Path
    clips: dict
    features: pd.DataFrame
    data: dict

    def fit(self, name, architecture, data=None, **changes):
        known = ARCHITECTURES[architecture]
        arguments = plan(self.data | {"data": data or self.data["data"]}, self.folder / name / "fold-0", "naive_cnn")
        settings = settings_of(architecture, **changes) if known.input == "clips" else dict(known.settings) | changes
        arguments |= {"module": known.module, "settings": settings, "views": {"clips": {"kind": "uniform"}}}
        arguments["outputs"]["model"] = str(self.folder / name / "fold-0" / f"model.{SUFFIX[known.input]}")
        fit = {"features": on_features.fit, "clips": on_clips.fit_here, "predictions": on_predictions.fit}[known.input]
        fit(Task(**arguments))
        return self.folder / name / "fold-0"

    def tested(self, name):
        table = read_table(self.folder / name / "fold-0" / "p.parquet").to_pandas()
        return table[table.split == "test"]

    def inputs(self, ids):
        return {
            "features": self.features.set_index("id").loc[ids],
            "clips": np.stack([self.clips[i] for i in ids]),
            "boxes": [[8, 0, 16, SIZE]] * len(ids),
        }

    def check(self, name, tolerance=0.0):
        model, tested = load(self.folder / name / "fold-0"), self.tested(name)
        found = model.predict_proba(**self.inputs(tested.id.tolist()))
        assert found.dtype == np.float64
        assert model.classes == ["c0", "c1"]
        np.testing.assert_allclose(found, tested[["p_c0", "p_c1"]], rtol=0, atol=tolerance)
        return model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = write_data(folder / "data", train=9, val=7, test=7)
    clips = {}
    for path, index in zip(data["data"]["clips"], data["data"]["index"], strict=True):
        rows = [row for row in read_table(index).to_pylist() if row["row"] is not None]
        clips |= {row["id"]: np.load(path)[row["row"]] for row in rows}
    features = pd.DataFrame(np.random.default_rng(0).normal(size=(len(clips), 4)), columns=list("abcd"))
    features = features.add_prefix("noise.").assign(**{"other.e": 0.0})
    features.loc[3, "noise.b"] = np.nan
    features.insert(0, "id", list(clips))
    write_table(folder / "features.parquet", pa.Table.from_pandas(features, preserve_index=False))
    made = Run(folder, clips, features, data)
    for name in FEATURE_MODELS:
        made.fit(name, name, {"features": [str(folder / "features.parquet")]}, features=["noise"])
    made.fit("plain", *NETWORKS["plain"][:1], **NETWORKS["plain"][1])
    return made


@pytest.mark.parametrize("name", FEATURE_MODELS)
def test_a_feature_model_predicts_the_same_from_a_table_in_any_order_and_from_an_array(run, name):
    model = run.check(name)
    assert model.reads == {"features"}
    given = run.features[["other.e", *reversed(model.columns)]]
    found = model.predict_proba(features=given)
    np.testing.assert_array_equal(found, model.predict_proba(features=run.features[model.columns].to_numpy()))
    assert model.predict_proba(features=given[:0]).shape == (0, 2)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("plain", "small")])
def test_a_network_predicts_the_same(run, name):
    architecture, changes = NETWORKS[name]
    run.fit(name, architecture, **changes)
    assert run.check(name).reads == {"clips"}


def test_clips_are_resized_as_the_pipeline_does_and_once_for_models_that_share_them(run, monkeypatch):
    files = dict(run.data["data"])
    for kind in ("clips", "augmented"):
        files[kind] = [path.replace(".npy", "_16.npy") for path in files[kind]]
        for source, target in zip(run.data["data"][kind], files[kind], strict=True):
            resize_shard(source, target, 16)
    run.fit("small", "variable_ar_cnn", files, size=16)
    run.check("small")
    _resize_shared_clips_once(run, monkeypatch)


def _resize_shared_clips_once(run, monkeypatch):
    changed = []
    monkeypatch.setattr(stored_clips, "resize_clip", lambda clip, size: changed.append(clip) or resize_clip(clip, size))
    folder = run.folder / "small" / "fold-0"
    given = run.inputs(run.tested("small").id.tolist())
    shared = given | {"clips": SharedClips(given["clips"])}
    found = [load(folder).predict_proba(**shared) for _ in range(2)]
    assert len(changed) == len(given["clips"])
    for each in found:
        np.testing.assert_array_equal(each, load(folder).predict_proba(**given))


def _share_embeddings(run, folder, name, monkeypatch):
    """Two fits of a bundle that name one file of weights embed each clip once."""
    record = clip_model.write_encoder(read_record(folder / "fit.json"), folder / "model.safetensors", folder)
    embedded = []
    monkeypatch.setattr(clip_model, "embed", lambda *given: embedded.append(given) or embed(*given))
    models = [clip_model.ClipModel(record, folder / "model.safetensors", folder) for _ in range(2)]
    given = run.inputs(run.tested(name).id.tolist())
    shared = given | {"clips": SharedClips(given["clips"])}
    first, second = (model.predict_proba(**shared) for model in models)
    once = len(embedded)
    np.testing.assert_array_equal(first, models[0].predict_proba(**given))
    np.testing.assert_array_equal(first, second)
    assert len(embedded) == 2 * once
    two_views = load(folder, otherwise={"views_at_test": 2})  # which embeddings do not have
    np.testing.assert_array_equal(first, two_views.predict_proba(**given))


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_model_on_embeddings_loads_with_its_encoder(run, name, monkeypatch):
    weights = EMBEDDED[name] and str(run.folder / EMBEDDED[name])
    if weights:
        torch.manual_seed(3)
        save_file(encoder("vit_micro", 224, "", False).network.state_dict(), weights)
    settings = settings_of("vit_gru", freeze=True, weights=weights, encoder="vit_micro")
    files = dict(run.data["data"])
    for kind in ("clips", "augmented"):
        files[kind] = [path.replace(".npy", f"_{name}.npy") for path in files[kind]]
        for source, target in zip(run.data["data"][kind], files[kind], strict=True):
            embed_shards({target: [source]}, run.folder / "facts.json", settings, 7, 1)
    folder = run.fit(name, "vit_gru", files, freeze=True, weights=weights, encoder="vit_micro")
    run.check(name, 1e-6)
    record = json.loads((folder / "fit.json").read_text())
    assert record["embedded"]
    if not weights:
        assert record["encoder"]["sha256"] is None
        return
    _share_embeddings(run, folder, name, monkeypatch)
    torch.manual_seed(4)
    save_file(encoder("vit_micro", 224, "", False).network.state_dict(), weights)
    with pytest.raises(ValueError, match=r"weights is '.*': the file has changed since the model was trained .*: rest"):
        load(folder)
    Path(weights).unlink()
    with pytest.raises(ValueError, match="name an existing file"):
        load(folder)


def test_an_ensemble_mixes_its_members(run, tmp_path):
    members = ["plain", "svm", "gradient_boosting"]
    paths = [str(run.folder / name / "fold-0" / "p.parquet") for name in members]
    folder = run.fit("ensemble", "ensemble", {"predictions": paths}, members=members)
    model = run.check("ensemble")
    assert model.reads == {"clips", "features"}
    folder.rename(tmp_path / "elsewhere")
    inputs = run.inputs(list(run.clips))
    found = load(tmp_path / "elsewhere", {name: run.folder / name / "fold-0" for name in members})
    np.testing.assert_array_equal(found.predict_proba(**inputs), model.predict_proba(**inputs))
    with pytest.raises(ValueError, match="members has no gradient_boosting: pass the folder"):
        load(tmp_path / "elsewhere", {name: run.folder / name / "fold-0" for name in members[:2]})


def test_a_select_needs_only_the_member_that_it_chose(run, tmp_path):
    members = ["plain", "svm", "gradient_boosting"]
    paths = [str(run.folder / name / "fold-0" / "p.parquet") for name in members]
    folder = run.fit("chosen", "ensemble", {"predictions": paths}, members=members, mix="best")
    chosen = read_json(folder / "fit.json")["chosen"]["member"]
    model = run.check("chosen")
    assert model.weights == {chosen: 1.0}
    np.testing.assert_array_equal(run.tested("chosen").p_c1, run.tested(chosen).p_c1)
    folder.rename(tmp_path / "elsewhere")
    load(tmp_path / "elsewhere", {chosen: run.folder / chosen / "fold-0"})


def test_a_cascade_asks_its_second_member_where_the_first_is_unsure(run, tmp_path, monkeypatch):
    members = ["plain", "svm"]
    paths = [str(run.folder / name / "fold-0" / "p.parquet") for name in members]
    folder = run.fit("cascade", "ensemble", {"predictions": paths}, members=members, mix="cascade", loss=0.2)
    assert run.check("cascade").reads == {"clips", "features"}
    folder.rename(tmp_path / "elsewhere")
    inputs, asked = run.inputs(list(run.clips)), []
    places = {name: run.folder / name / "fold-0" for name in members}
    cheap, careful = (load(place).predict_proba(**inputs) for place in places.values())
    sure = np.sort(cheap.max(axis=1))
    write_json(tmp_path / "elsewhere/model.json", {"enough": float(sure[len(sure) // 2])})
    model, answer = load(tmp_path / "elsewhere", places), FeatureModel.predict_proba

    def count(self, **given):
        asked.append(len(given["features"]))
        return answer(self, **given)

    monkeypatch.setattr(FeatureModel, "predict_proba", count)
    exits = cheap.max(axis=1) >= sure[len(sure) // 2]
    np.testing.assert_array_equal(model.predict_proba(**inputs), np.where(exits[:, None], cheap, careful))
    assert asked == [(~exits).sum()]
    with pytest.raises(ValueError, match="members has no svm: pass the folder"):
        load(tmp_path / "elsewhere", {"plain": places["plain"]})


def test_memory_that_runs_out_halves_the_batch(run, monkeypatch):
    model, inputs = load(run.folder / "plain" / "fold-0"), run.inputs(list(run.clips))
    whole, seen = model.predict_proba(**inputs), []

    def check(network, values):
        seen.append(len(values[0]))
        if len(values[0]) > 1:
            raise torch.OutOfMemoryError

    model._network.register_forward_pre_hook(check)
    np.testing.assert_allclose(model.predict_proba(**inputs), whole, atol=1e-6)
    assert seen == [2] + [1] * len(run.clips)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("svm", {}, "features is None: this model predicts from features"),
        (
            "svm",
            {"features": pd.DataFrame({"noise.a": [0.0], "noise.c": [0.0]})},
            "features has no noise.b, noise.d: p",
        ),
        ("svm", {"features": np.zeros((2, 3))}, r"features has shape \[2, 3\]: use \(videos, 4 columns\)"),
        ("plain", {}, "clips is None: this model predicts from clips"),
        (
            "plain",
            {"clips": np.zeros((2, 3, 32, 32, 3))},
            r"clips is an array of float64\[2, 3, 32, 32, 3\]: use uint8",
        ),
        ("plain", {"clips": np.zeros((2, 3, 31, 31, 3), np.uint8)}, "with a size of 32 or more"),
        ("plain", {"clips": np.zeros((2, 2, 32, 32, 3), np.uint8)}, "3 or more frames"),
        ("plain", {"clips": np.zeros((2, 3, 32, 32, 3), np.uint8), "boxes": [[0, 0, 9, 9]]}, "boxes has 1 rows for 2"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_it(run, name, given, message):
    with pytest.raises(ValueError, match=message):
        load(run.folder / name / "fold-0").predict_proba(**given)


def test_records_say_what_the_model_reads(run):
    record = json.loads((run.folder / "plain" / "fold-0" / "fit.json").read_text())
    assert record["architecture"] == "clipfold.models.architectures.naive_cnn"
    assert (record["input"], record["frames"], record["stored_size"], record["seed"]) == ("clips", 3, SIZE, 7)
    assert record["views"] == {"clips": {"kind": "uniform"}}
    assert record["versions"].keys() >= {"python", "numpy", "scikit-learn", "torch"}
    assert json.loads((run.folder / "svm" / "fold-0" / "fit.json").read_text())["features"][0] == "noise.a"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "antigravity"}, "architecture is 'antigravity': train the model again"),
        ({"input": "../x"}, "input is '../x'"),
        ({"classes": 3}, "classes is 3"),
        ({"settings": []}, r"settings is \[\]"),
    ],
)
def test_an_odd_record_is_refused_and_no_module_that_it_names_is_imported(tmp_path, change, message):
    good = {"format": 1, "architecture": "clipfold.models.architectures.svm", "input": "features"}
    record = good | {"classes": ["a", "b"], "settings": {}} | change
    (tmp_path / "fit.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"fit\.json: {message}"):
        load(tmp_path)
    assert "antigravity" not in sys.modules


def test_a_record_of_another_format_is_refused(tmp_path):
    (tmp_path / "fit.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format is 99, this version of clipfold reads 1: train the model again"):
        load(tmp_path)


def test_weights_that_are_not_at_hand_when_the_fit_ends_are_a_warning(caplog):
    from clipfold.models.embed import describe_encoder

    caplog.set_level(logging.WARNING)
    found = describe_encoder({"encoder": "vit_micro", "size": 32, "weights": "lost.pt"})
    assert found["sha256"] is None
    assert "digest of the encoder's weights is not recorded" in caplog.text
