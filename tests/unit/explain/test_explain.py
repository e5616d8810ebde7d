"""Explanations: compared with formulas, for each architecture, and on clips whose evidence is at a known place."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from helpers.fits import SIZE, fitted, plan, write_data
from helpers.networks import NETWORKS, build
from safetensors.torch import save_file
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from torch import nn

from clipfold.explain import on_clips, on_features
from clipfold.explain.attribution import attribute
from clipfold.explain.task import ExplainTask
from clipfold.features.embedding import pool_shards
from clipfold.models.clip_model import rebuild
from clipfold.models.embed import describe_encoder
from clipfold.models.entries import plan_models
from clipfold.models.inputs import as_input
from clipfold.models.network import ClipNetwork, class_logits
from clipfold.models.record import read_record
from clipfold.storage.files import read_table, write_json, write_table
from clipfold.training import on_features as fitting
from clipfold.training.task import Task

TASK = {"seed": 0, "threads": 1, "stored_size": SIZE, "errors": 2, "hits": 2}
BOX = torch.tensor([8, 0, 16, 32])


def task_of(**given):
    return ExplainTask(**TASK | given)


def random_clip(frames=4, size=32, seed=0):
    clip = torch.randint(0, 256, (frames, size, size, 3), generator=torch.Generator().manual_seed(seed))
    clip[:, :8] = clip[:, 24:] = 0
    return clip.to(torch.uint8)


def squares(count, seed, size=32, edge=8):
    """Clips of smooth noise in which a square at a random place is brighter than its surroundings, or darker."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(60, 190, (count, 3, 4, 8, 8)).astype(np.float32))
    clips = nn.functional.interpolate(coarse, (4, size, size), mode="trilinear").permute(0, 2, 3, 4, 1).numpy()
    labels, corners = np.arange(count) % 2, random.integers(0, size - edge + 1, (count, 2))
    for clip, label, (top, left) in zip(clips, labels, corners, strict=True):
        clip[:, top : top + edge, left : left + edge] += 60 if label else -60
    return torch.from_numpy(clips.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels), corners


def lively(name, classes=2):
    """A network none of whose blocks is off, as they are before training, and whose statistics fit its inputs."""
    network = build(name, classes)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.ones_(module.weight)
            module.momentum = None  # a plain mean
    some = torch.stack([random_clip(seed=i) for i in range(1, 5)])
    with torch.no_grad():
        network.train()(as_input(network, some), *([BOX.expand(4, 4)] if network.takes_boxes else []))
    return network.eval()


class Linear(ClipNetwork):
    """A network whose attributions are known: weight times difference."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, clips):
        return (clips * self.weight).flatten(1).sum(dim=1, keepdim=True)


def test_of_a_linear_network_each_pixel_gets_weight_times_difference():
    clip, weight = random_clip(), torch.randn(3, 4, 32, 32)
    places, rise = attribute(Linear(weight), clip, BOX, target=1, steps=3)
    mean = clip[:, 8:24].float().mean(dim=(0, 1, 2)).round()
    difference = (clip.float() - mean) / 255 / 0.225
    difference[:, :8] = difference[:, 24:] = 0
    expected = (difference * weight.permute(1, 2, 3, 0)).sum(dim=3)
    torch.testing.assert_close(places, expected, rtol=1e-3, atol=1e-4)
    assert rise == pytest.approx(expected.sum().item(), rel=1e-3)
    torch.testing.assert_close(attribute(Linear(weight), clip, BOX, target=0)[0], -places, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_attributions_add_up_to_the_rise_of_the_evidence(name, classes):
    network = lively(name, classes)
    clip = squares(1, seed=3)[0][0]
    clip[:, :8] = clip[:, 24:] = 0
    places, rise = attribute(network, clip, BOX, target=1)
    assert places.shape == (4, 32, 32)
    assert places.abs().max() > 0
    assert (places[:, :8] == 0).all()
    assert places.sum().item() == pytest.approx(rise, rel=0.1, abs=0.02 * places.abs().sum().item())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["naive_cnn", "vit_gru"])
def test_it_points_at_what_decides(name):
    """The pointing game (Zhang et al. 2018): how often the strongest place lies where the evidence is."""
    network = build(name, dropout=0.0, **({"width": 8} if name == "naive_cnn" else {}))
    clips, labels, _ = squares(256, seed=0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3 if name == "naive_cnn" else 1e-3)
    shuffled = torch.Generator().manual_seed(0)
    for _ in range(20):
        for part in torch.randperm(len(clips), generator=shuffled).split(32):
            loss = nn.functional.cross_entropy(class_logits(network(as_input(network, clips[part]))), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    clips, labels, corners = squares(60, seed=1)
    with torch.inference_mode():
        said = class_logits(network(as_input(network, clips))).argmax(dim=1)
    assert (said == labels).float().mean() > 0.9
    hits = []
    for clip, target, (top, left) in zip(clips, said.tolist(), corners, strict=True):
        places = attribute(network, clip, torch.tensor([0, 0, 32, 32]), target)[0].numpy()
        _, y, x = np.unravel_index(on_clips.smoothed(places).argmax(), places.shape)
        hits.append(top <= y < top + 8 and left <= x < left + 8)
    assert np.mean(hits) > 0.6  # 0.78 to 1 seen; by chance it would be 8 x 8 of 32 x 32 pixels: 0.06


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_gives_the_same(name):
    network, clip = lively(name), random_clip()
    places, rise = attribute(network, clip, BOX, target=1)
    found, there = attribute(network.cuda(), clip.cuda(), BOX.cuda(), target=1)
    assert there == pytest.approx(rise, rel=0.05, abs=1e-3)
    assert torch.corrcoef(torch.stack([places.flatten(), found.cpu().flatten()]))[0, 1] > 0.98


@pytest.mark.parametrize("name", ["naive_cnn", "vit_gru"])
def test_a_stored_network_is_explained_as_it_predicted(tmp_path, name):
    data = write_data(tmp_path, test=6)
    fit = fitted(data, tmp_path, name)
    arguments = plan(data, tmp_path, name)
    outputs, settings = arguments["outputs"], arguments["settings"]
    assert not rebuild(read_record(outputs["record"]), outputs["model"]).training
    on_clips.explain(
        task_of(
            settings=settings,
            data=data["data"],
            models=[outputs["model"]],
            predictions=[outputs["predictions"]],
            records=[outputs["record"]],
            output=tmp_path / "explained.parquet",
        )
    )
    rows = read_table(tmp_path / "explained.parquet").to_pandas()
    tested = fit.predictions.query("split == 'test'").set_index("id")
    wrong = tested[["p_c0", "p_c1"]].to_numpy().argmax(axis=1) != (tested.label == "c1").to_numpy()
    assert rows.wrong.sum() == min(2, wrong.sum())
    assert (~rows.wrong).sum() == min(2, (~wrong).sum())
    for row in rows.itertuples():
        assert row.probability == tested.loc[row.id, f"p_{row.predicted}"]
        assert bytes(row.picture[:4]) == b"RIFF"
        assert (row.frames, row.width, row.height) == (3, SIZE, SIZE * 3 // 2)  # the content is 32 x 16, three times
        assert -1 <= row.control < 0.99  # places depend on the weights


def test_shuffled_weights_are_the_same_values_in_another_order():
    network = build("naive_cnn")
    other = on_clips.with_shuffled_weights(network, 0)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.flatten().sort().values, two.flatten().sort().values, rtol=0, atol=0)
    assert not torch.equal(next(network.parameters()), next(other.parameters()))
    heat = np.arange(24.0).reshape(2, 3, 4)
    assert on_clips._alike(heat, heat**3) == pytest.approx(1)
    assert on_clips._alike(heat, -heat) == pytest.approx(-1)


def test_a_video_that_repeats_tested_twice_is_explained_by_each_of_their_models(tmp_path):
    data = write_data(tmp_path, test=6)
    arguments = plan(data, tmp_path, "naive_cnn")
    fitted(data, tmp_path, "naive_cnn")
    outputs = arguments["outputs"]
    first = read_table(outputs["predictions"]).to_pandas()
    turned = first.assign(p_c0=first.p_c1, p_c1=first.p_c0)
    write_table(tmp_path / "turned.parquet", pa.Table.from_pandas(turned, preserve_index=False))
    on_clips.explain(
        task_of(
            settings=arguments["settings"],
            data=data["data"],
            models=[outputs["model"]] * 2,
            predictions=[outputs["predictions"], tmp_path / "turned.parquet"],
            records=[outputs["record"]] * 2,
            output=tmp_path / "explained.parquet",
            errors=99,
            hits=99,
        )
    )
    rows = read_table(tmp_path / "explained.parquet").to_pandas()
    twice = rows[rows.id.duplicated(keep=False)]
    assert len(twice)
    assert (twice.groupby("id").predicted.nunique() == 2).all()
    assert (twice.groupby("id").picture.nunique() == 2).all()


def test_an_encoder_that_was_embedded_once_is_made_again(tmp_path):
    network = build("vit_gru", freeze=True)
    stored = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("temporal.")}
    save_file(stored, tmp_path / "model.safetensors")
    entry = {
        "architecture": "vit_gru",
        "frames": 4,
        "size": 32,
        "dropout": 0.0,
        "hidden": 16,
        "layers": 2,
        "freeze": True,
    }
    (model,) = plan_models([entry], largest_size=224, most_frames=16)
    record = {"architecture": model.module, "settings": model.settings, "classes": ["a", "b"], "seed": 0}
    record |= {"embedded": True, "encoder": describe_encoder(model.settings)}
    again = rebuild(record, tmp_path / "model.safetensors")
    torch.testing.assert_close(again.state_dict(), network.state_dict(), rtol=0, atol=0)


def fit_two_folds(tmp_path, data, groups):
    """Fit logistic regressions on 60 videos, every second of which is a `yes`."""
    ids, labels = [f"v{i:02}" for i in range(60)], ["no", "yes"] * 30
    of_each = ["train"] * 30 + ["val"] * 10 + ["test"] * 20
    rows = [
        {"id": i, "label": c, "group": i, "fold": f, "split": r}
        for f in (0, 1)
        for i, c, r in zip(ids, labels, of_each, strict=True)
    ]
    write_table(tmp_path / "splits.parquet", pa.Table.from_pylist(rows))
    settings = {"features": groups, "class_weight": "balanced", "C": 1.0, "scaling": "variance", "keep": 1}
    names = {"model": "model.skops", "history": "history.csv", "predictions": "p.parquet", "record": "fit.json"}
    for fold in (0, 1):
        task = Task(
            module="clipfold.models.architectures.logistic_regression",
            settings=settings,
            data=data,
            splits=tmp_path / "splits.parquet",
            fold=fold,
            outputs={name: tmp_path / str(fold) / file for name, file in names.items()},
            seed=0,
            threads=1,
            scratch=tmp_path / "scratch",
            stored_size=SIZE,
        )
        fitting.fit(task)


def explained(tmp_path, data):
    on_features.explain(
        task_of(
            settings={},
            data=data,
            models=[tmp_path / str(fold) / "model.skops" for fold in (0, 1)],
            predictions=[tmp_path / str(fold) / "p.parquet" for fold in (0, 1)],
            records=[tmp_path / str(fold) / "fit.json" for fold in (0, 1)],
            output=tmp_path / "explained.parquet",
        )
    )
    return read_table(tmp_path / "explained.parquet").to_pandas()


@pytest.mark.parametrize("others", [[], ["motion"]], ids=["alone", "with_others"])
def test_embeddings_are_features_and_are_explained_together(others, tmp_path):
    """Their group decides; what `motion` says is noise."""
    random, ids = np.random.default_rng(0), [f"v{i:02}" for i in range(60)]
    frames = random.normal(size=(60, 4, 3)).astype(np.float32)
    frames[1::2, 2:, 1] += 5  # in every second video, something begins
    table = pd.DataFrame({"id": ids, "motion.a": random.normal(size=60), "motion.b": random.normal(size=60)})
    write_table(tmp_path / "features.parquet", pa.Table.from_pandas(table, preserve_index=False))
    write_table(tmp_path / "index.parquet", pa.table({"id": ids, "row": range(60)}))
    np.save(tmp_path / "frames.npy", frames)
    facts = {"encoder": "resnet18", "size": 64, "weights": "", "sha256": None}
    write_json(tmp_path / "facts.json", facts)
    index, pooled = tmp_path / "index.parquet", tmp_path / "pooled.parquet"
    pool_shards([tmp_path / "frames.npy"], tmp_path / "facts.json", [index], pooled)
    data = {"features": [tmp_path / "features.parquet"], "embedding_eye": [tmp_path / "pooled.parquet"]}
    fit_two_folds(tmp_path, data, ["embedding.eye", *others])
    record = read_record(tmp_path / "0/fit.json")
    assert record["encoders"] == {"embedding.eye": facts}
    assert len(record["features"]) == 12 + 2 * len(others)
    found = explained(tmp_path, data).set_index("feature").value
    assert {*found.index} == {"embedding.eye.*", *(["motion.a", "motion.b", "motion.*"] if others else [])}
    assert found["embedding.eye.*"] > 0.3
    assert (found.drop("embedding.eye.*").abs() < 0.1).all()


def test_single_features_get_the_importance_that_scikit_learn_computes():
    random = np.random.default_rng(3)
    x = random.normal(size=(30, 4))
    targets = (x[:, 1] + x[:, 2] > 0).astype(int)
    fitted = LogisticRegression().fit(x, targets)
    score = partial(on_features._score, fitted, (targets, targets[::-1]), 2)
    columns = [f"noise.f{i}" for i in range(4)]
    found = on_features._importances(score, x, columns, repeats=6, seed=5, single=range(4))
    library = permutation_importance(fitted, x, targets, scoring="neg_log_loss", n_repeats=6, random_state=5)
    np.testing.assert_allclose(found.value, library.importances_mean, rtol=1e-9)
    shuffled = on_features._shuffled(pd.DataFrame(x, columns=list("abcd")), np.array([2]), np.arange(30)[::-1])
    np.testing.assert_array_equal(shuffled, np.column_stack([x[:, :2], x[::-1, 2], x[:, 3]]))


def test_of_features_the_one_that_decides_is_the_most_important(tmp_path):
    random = np.random.default_rng(0)
    names = [*(f"noise.f{i}" for i in range(4)), "motion.f4"]
    table = pd.DataFrame(random.normal(size=(60, 5)), columns=names)
    table["noise.f2"] += np.array([0, 4] * 30)
    table.insert(0, "id", [f"v{i:02}" for i in range(60)])
    write_table(tmp_path / "features.parquet", pa.Table.from_pandas(table, preserve_index=False))
    data = {"features": [tmp_path / "features.parquet"]}
    fit_two_folds(tmp_path, data, ["noise", "motion"])
    found = explained(tmp_path, data)
    assert {*found.feature[:2]} == {"noise.f2", "noise.*"}  # the feature, and all of its group together
    assert found.value[:2].min() > 0.3
    assert {*found.feature[2:]} == {"noise.f0", "noise.f1", "noise.f3", "motion.f4", "motion.*"}
    assert found.value[2:].abs().max() < 0.1
    single = found.value[~found.feature.str.endswith(".*")]
    assert found.together[0] == pytest.approx(single.sum(), rel=0.5)  # one feature decides
    assert found.control[:2].max() < found.value[:2].min() / 2


def test_of_many_test_videos_some_are_drawn(tmp_path, monkeypatch):
    """The same ones each time: a million videos would be predicted a thousand times."""
    table = pd.DataFrame({"id": [f"v{i:02}" for i in range(60)], "noise.f0": np.arange(60.0) % 4})
    write_table(tmp_path / "features.parquet", pa.Table.from_pandas(table, preserve_index=False))
    data, drawn = {"features": [tmp_path / "features.parquet"]}, []
    fit_two_folds(tmp_path, data, ["noise"])
    measure = on_features._importances
    monkeypatch.setattr(
        on_features, "_importances", lambda *args, **own: drawn.append(args[1]) or measure(*args, **own)
    )
    monkeypatch.setattr(on_features, "MOST_VIDEOS", 8)
    first, again = explained(tmp_path, data), explained(tmp_path, data)
    pd.testing.assert_frame_equal(first, again)
    assert [len(x) for x in drawn] == [8] * 4
    monkeypatch.setattr(on_features, "MOST_VIDEOS", 20)
    explained(tmp_path, data)
    assert drawn[-1][:, 0].tolist() == (np.arange(40.0, 60.0) % 4).tolist()
