"""Several clips of a video: training shows one of them at a time, a prediction is the mean over all."""

import numpy as np
import pytest
import torch
from helpers.fits import FRAMES, SIZE, Fitted, plan, settings_of, with_copies, write_data

from clipfold.clips.augment import Copies
from clipfold.clips.reader import Clips
from clipfold.explain.on_clips import _attributed
from clipfold.models.clip_model import ClipModel, rebuild
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.record import read_record
from clipfold.models.to_onnx import to_onnx
from clipfold.storage.files import read_table
from clipfold.training.batches import BatchSource
from clipfold.training.on_clips import fit_here
from clipfold.training.task import Task

CLIPS, EACH = 2, FRAMES // 2


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def fitted_on_several(data, folder, architecture="naive_cnn", **changes):
    arguments = plan(data, folder, architecture, frames=EACH, **changes)
    arguments["settings"]["clips"] = CLIPS
    fit_here(Task(**arguments))
    return Fitted(arguments), arguments


@pytest.fixture(scope="module", params=["naive_cnn", "variable_ar_cnn"])
def fit(request, data, tmp_path_factory):
    return fitted_on_several(data, tmp_path_factory.mktemp("fit"), request.param, predict_batch=3)


def stored(data, split):
    """Return the ids of a split, their stored clips and boxes."""
    whole = Clips(data["data"], FRAMES, SIZE, SIZE)
    ids = [row["id"] for row in read_table(data["splits"]).to_pylist() if row["split"] == split]
    return ids, whole.gather(ids), whole.boxes(ids)


def test_a_prediction_is_the_mean_over_the_clips_in_the_run_and_elsewhere(data, fit):
    found, arguments = fit
    ids, clips, boxes = stored(data, "test")
    expected = found.predictions.set_index("id").loc[ids].filter(like="p_").to_numpy()
    outputs = arguments["outputs"]
    record = read_record(outputs["record"])
    together = ClipModel(record, outputs["model"]).predict_proba(clips=clips, boxes=boxes)
    np.testing.assert_allclose(together, expected, atol=1e-6)
    one = ClipModel({**record, "settings": {**record["settings"], "clips": 1}}, outputs["model"])
    each = [one.predict_proba(clips=part, boxes=boxes) for part in np.split(clips, CLIPS, axis=1)]
    np.testing.assert_allclose(np.mean(each, axis=0), expected, atol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 1e-4


def test_too_few_frames_for_all_clips_are_refused(fit):
    _, arguments = fit
    model = ClipModel(read_record(arguments["outputs"]["record"]), arguments["outputs"]["model"])
    with pytest.raises(ValueError, match=f"{CLIPS * EACH} or more frames"):
        model.predict_proba(clips=np.zeros((1, CLIPS * EACH - 1, SIZE, SIZE, 3), np.uint8))


@pytest.mark.parametrize("clips", [0, "2", True, 1.5])
def test_a_forged_number_of_clips_is_refused(fit, clips):
    record = read_record(fit[1]["outputs"]["record"])
    with pytest.raises(ValueError, match=r"fit\.json: clips"):
        ClipModel({**record, "settings": {**record["settings"], "clips": clips}}, fit[1]["outputs"]["model"])


def test_each_clip_of_the_video_and_of_its_copies_is_a_version(data):
    both = Clips(data["data"], EACH, SIZE, SIZE, CLIPS)
    whole = Clips(data["data"], FRAMES, SIZE, SIZE)
    source = BatchSource(both, ["train0", "train1"], np.array([0, 1]), torch.device("cpu"), 0, augmented=True)
    assert source.versions == [CLIPS * whole.versions("train0")] * 2
    for version in range(4):
        copy, clip = divmod(version, CLIPS)
        own = whole.gather(["train0"], [copy])[:, clip * EACH : (clip + 1) * EACH]
        assert np.array_equal(both.gather(["train0"], [version]), own)
    assert BatchSource(both, ["val0"], np.array([0]), torch.device("cpu"), 0, augmented=False).versions == [CLIPS]


def test_copies_change_each_clip_by_itself_whether_stored_or_replayed(data, tmp_path):
    for kept in with_copies(data, tmp_path, clips=CLIPS):
        reader = Clips(kept["data"], EACH, SIZE, SIZE, CLIPS)
        files = [kept["data"][kind][0] for kind in ("clips", "index", "augmented_index")]
        alone = tmp_path / "alone.npy"
        for clip in range(CLIPS):
            np.save(alone, np.load(files[0])[:, clip * EACH : (clip + 1) * EACH])
            copies = Copies(alone, *files[1:], SIZE)
            made = [copies[number : number + 1][0] for number in range(len(copies))]
            of_first = [n for n, row in enumerate(read_table(files[2]).to_pylist()) if row["id"] == "train0"]
            for copy, number in enumerate(of_first, start=1):
                found = reader.gather(["train0"], [copy * CLIPS + clip])[0]
                assert np.array_equal(found, made[number])


def test_training_sees_every_clip(data, tmp_path, monkeypatch):
    """The clips of a step come from all parts of the videos."""
    seen = []
    gather = Clips.gather

    def noted(self, ids, versions=None):
        seen.extend(int(version) % CLIPS for version in versions)
        return gather(self, ids, versions)

    monkeypatch.setattr(Clips, "gather", noted)
    fitted_on_several(data, tmp_path)
    assert {*seen} == {0, 1}


def test_one_clip_is_trained_and_predicted_to_the_same_bits_with_and_without_the_setting(data, tmp_path):
    plain = plan(data, tmp_path / "plain", "naive_cnn")
    one = plan(data, tmp_path / "one", "naive_cnn")
    one["settings"] = {**settings_of("naive_cnn"), "clips": 1}
    for arguments in (plain, one):
        fit_here(Task(**arguments))
    Fitted(plain).assert_same(Fitted(one))


def test_an_explanation_covers_all_clips(data, fit):
    _, arguments = fit
    network = rebuild(read_record(arguments["outputs"]["record"]), arguments["outputs"]["model"])
    network.requires_grad_(False)
    _, clips, boxes = stored(data, "test")
    each = torch.from_numpy(np.stack(np.split(clips[0], CLIPS)))
    places, rise = _attributed(network, each, torch.from_numpy(boxes[0]), 1, 64)
    assert places.shape == (CLIPS * EACH, SIZE, SIZE)
    assert places.sum().item() == pytest.approx(rise, rel=0.1, abs=0.02)
    assert all(part.abs().sum() > 0 for part in places.split(EACH))


@pytest.mark.slow
def test_an_exported_network_averages_too(data, tmp_path):
    found, arguments = fitted_on_several(data, tmp_path, predict_batch=2)
    record, model = read_record(arguments["outputs"]["record"]), tmp_path / "model.safetensors"
    (tmp_path / "model-0.onnx").write_bytes(to_onnx(record, model, tmp_path))
    ids, clips, boxes = stored(data, "test")
    expected = found.predictions.set_index("id").loc[ids].filter(like="p_").to_numpy()
    exported = OnnxModel(record, tmp_path / "model-0.onnx", threads=1)
    np.testing.assert_allclose(exported.predict_proba(clips=clips, boxes=boxes), expected, atol=1e-5)
    assert len(exported.inputs(clips, boxes)) == CLIPS * len(clips)


def test_the_record_says_how_many(fit):
    assert fit[0].record["settings"]["clips"] == CLIPS
