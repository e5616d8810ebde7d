"""Test what models of images may be, and that those that need motion are refused with a way out."""

import pytest

from clipfold.config import read_config
from clipfold.models.entries import plan_models


def planned(*entries):
    return plan_models(entries, largest_size=112, most_frames=1, modality="image")


@pytest.mark.parametrize("architecture", ["slowfast", "x3d", "r3d_18", "mvit_v2_s", "swin3d_t"])
def test_models_that_need_motion_are_refused_with_those_that_fit(architecture):
    with pytest.raises(ValueError, match=f"models: {architecture}: architecture is '{architecture}'") as error:
        planned(architecture)
    fitting = str(error.value).rpartition("use ")[2].split(", ")
    assert "naive_cnn" in fitting
    assert architecture not in fitting
    assert planned(*(name for name in fitting if name != "ensemble"))


def test_defaults_fit_images():
    svm, cnn, gru = planned("svm", "naive_cnn", "vit_gru")
    assert svm.settings["features"] == ["frame", "noise", "compression", "chroma"]
    assert (cnn.settings["frames"], gru.settings["frames"]) == (1, 1)
    with pytest.raises(ValueError, match=r"models: svm: features .*brightness, colour, container, frame, noise"):
        planned({"architecture": "svm", "features": ["motion"]})
    with pytest.raises(ValueError, match="models: naive_cnn: frames is 16: use 1"):
        planned({"architecture": "naive_cnn", "frames": 16})


def test_views_of_images_have_one_frame_and_those_of_videos_stay():
    views = {"clips": {"kind": "uniform", "frames": 16}}
    assert read_config({"modality": "image", "decode": {"views": views}}).decode.views["clips"]["frames"] == 1
    assert read_config({"decode": {"views": views}}).decode.views["clips"]["frames"] == 16
    assert {own["frames"] for own in read_config({"modality": "image"}).decode.views.values()} == {1}


@pytest.mark.parametrize("architecture", ["naive_cnn", "variable_ar_cnn", "cnn_lstm", "vit_gru", "vit_transformer"])
def test_networks_that_fit_take_one_frame(architecture):
    import importlib

    torch = pytest.importorskip("torch")
    (model,) = planned({"architecture": architecture, "size": 32})
    network = importlib.import_module(model.module).build(model.settings, 2).eval()
    clip, boxes = torch.zeros(2, 3, 1, 32, 32), torch.tensor([[0, 0, 32, 32]] * 2)
    with torch.inference_mode():
        logits = network(clip, boxes) if network.takes_boxes else network(clip)
    assert len(logits) == 2
