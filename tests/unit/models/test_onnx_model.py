"""Test that an exported network predicts as before, and that a forged graph is refused."""

import importlib

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.clip_model import ClipModel
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.to_onnx import to_onnx

pytestmark = pytest.mark.slow

SIZE, FRAMES = 16, 4


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """Record, weights and graph of a network that also predicts the mirror image of each clip."""
    folder, known = tmp_path_factory.mktemp("fit"), ARCHITECTURES["naive_cnn"]
    settings = {**known.settings, "size": SIZE, "frames": FRAMES, "width": 2, "views_at_test": 2}
    record = {
        "architecture": known.module,
        "classes": ["a", "b", "c"],
        "embedded": False,
        "micro_batch": 2,
        "precision": "fp32",
        "seed": 0,
        "settings": settings,
    }
    torch.manual_seed(1)
    save_file(importlib.import_module(known.module).build(settings, 3).state_dict(), folder / "model.safetensors")
    (folder / "model-0.onnx").write_bytes(to_onnx(record, folder / "model.safetensors", folder))
    return record, folder


@pytest.mark.parametrize("count", [0, 1, 5])
def test_an_exported_network_predicts_the_same(fit, count):
    record, folder = fit
    clips = np.random.default_rng(0).integers(0, 256, (count, 6, 20, 20, 3), np.uint8)
    eager, exported = ClipModel(record, folder / "model.safetensors"), OnnxModel(record, folder / "model-0.onnx")
    np.testing.assert_allclose(exported.predict_proba(clips=clips), eager.predict_proba(clips=clips), atol=1e-5)


def external(graph):
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def of_node(**changes):
    def change(graph):
        for name, value in changes.items():
            setattr(graph.graph.node[0], name, value)

    return change


def branch(graph):
    graph.graph.node[0].attribute.append(onnx.helper.make_attribute("body", onnx.GraphProto(name="body")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external, "data in other files"),
        (of_node(domain="evil"), "operators of other domains"),
        (branch, "graphs within operators"),
        (of_node(op_type="NoSuch"), "NoSuch"),
        (lambda graph: graph.graph.output.append(graph.graph.output[0]), "several outputs"),
        (lambda graph: graph.graph.node.append(graph.graph.node[-1]), "values of the same name"),
        (lambda graph: graph.graph.ClearField("node"), "no usable ONNX graph"),
    ],
)
def test_a_forged_graph_is_refused(fit, tmp_path, change, message):
    record, folder = fit
    graph = onnx.load(folder / "model-0.onnx")
    change(graph)
    (tmp_path / "forged.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match=message):
        OnnxModel(record, tmp_path / "forged.onnx")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08" * 1000])
def test_what_is_no_graph_is_refused(fit, tmp_path, content):
    (tmp_path / "forged.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"forged\.onnx is no (usable )?ONNX graph"):
        OnnxModel(fit[0], tmp_path / "forged.onnx")


@pytest.mark.parametrize("changes", [{"classes": ["a", "b"]}, {"settings": {"size": 8, "frames": FRAMES}}])
def test_a_graph_of_another_fit_is_refused(fit, changes):
    record, folder = fit
    with pytest.raises(ValueError, match="export it again"):
        OnnxModel(record | changes, folder / "model-0.onnx")
