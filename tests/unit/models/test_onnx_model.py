"""Test that an exported network predicts as before, and that a forged graph is refused."""

import importlib
import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file

from clipfold.models.architectures.naive_cnn import NaiveCNN
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.clip_model import ClipModel
from clipfold.models.onnx_graph import STRUCTURE_BYTES
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.program_model import ProgramModel
from clipfold.models.to_onnx import to_onnx
from clipfold.models.to_program import to_program
from clipfold.models.whole_network import NoGraph

pytestmark = pytest.mark.slow

SIZE, FRAMES = 16, 4


def written(folder, name, **changes):
    """Write the weights and the graph of a network; return its record."""
    known = ARCHITECTURES[name]
    settings = {**known.settings, "frames": FRAMES, **changes}
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
    return record


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """Record, weights and graph of a network that also predicts other views of each clip."""
    folder = tmp_path_factory.mktemp("fit")
    return written(folder, "naive_cnn", size=SIZE, width=2, views_at_test=4), folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Function from a network to its record and the folder of its weights, graph and program; made once."""

    @cache
    def made(name):
        folder = tmp_path_factory.mktemp(name)
        record = written(folder, name, size=64)
        (folder / "model-0.pt2").write_bytes(to_program(record, folder / "model.safetensors", folder))
        return record, folder

    return made


@pytest.mark.parametrize("count", [0, 1, 5])
def test_an_exported_network_predicts_the_same(fit, count):
    record, folder = fit
    clips = np.random.default_rng(0).integers(0, 256, (count, 6, 20, 20, 3), np.uint8)
    eager, exported = ClipModel(record, folder / "model.safetensors"), OnnxModel(record, folder / "model-0.onnx")
    np.testing.assert_allclose(exported.predict_proba(clips=clips), eager.predict_proba(clips=clips), atol=1e-5)


@pytest.mark.parametrize("name", ["vit_transformer", "variable_ar_cnn"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_may_have_any_size(exported, name, count):
    record, folder = exported(name)
    clips = np.random.default_rng(0).integers(0, 256, (count, FRAMES, 64, 64, 3), np.uint8)
    boxes = np.tile([8, 0, 40, 64], (count, 1))
    eager = ClipModel(record, folder / "model.safetensors").predict_proba(clips=clips, boxes=boxes)
    models = OnnxModel(record, folder / "model-0.onnx"), ProgramModel(record, (folder / "model-0.pt2").read_bytes())
    for model in models:
        np.testing.assert_allclose(model.predict_proba(clips=clips, boxes=boxes), eager, atol=1e-5)


def test_a_network_that_fixes_the_size_of_a_batch_is_not_exported(fit, monkeypatch):
    record, folder = fit
    plain = NaiveCNN.forward
    monkeypatch.setattr(NaiveCNN, "forward", lambda self, clips: plain(self, clips).reshape(len(clips), -1))
    with pytest.raises(NoGraph, match="keep predicting with the bundle itself"):
        to_onnx(record, folder / "model.safetensors", folder)
    with pytest.raises(NoGraph, match="keep predicting with the bundle itself"):
        to_program(record, folder / "model.safetensors", folder)


def test_a_graph_names_no_file_of_the_machine_that_made_it(fit):
    content = (fit[1] / "model-0.onnx").read_bytes()
    assert not [word for word in (b".py", b"clipfold.", b"torch.") if word in content]


def constant(**changes):
    """Change the first constant of a graph."""

    def change(graph):
        tensor = graph.graph.initializer[0]
        for name, value in changes.items():
            tensor.ClearField(name)
            if name in ("dims", "external_data"):
                getattr(tensor, name).extend(value)
            elif value is not None:
                setattr(tensor, name, value)

    return change


def external(path):
    entry = onnx.StringStringEntryProto(key="location", value=path)
    return constant(raw_data=None, data_location=onnx.TensorProto.EXTERNAL, external_data=[entry])


def of_node(**changes):
    def change(graph):
        for name, value in changes.items():
            setattr(graph.graph.node[0], name, value)

    return change


def attribute(**values):
    """Give the first operator an attribute that no other has."""

    def change(graph):
        graph.graph.node[0].attribute.append(onnx.AttributeProto(name="more", **values))

    return change


def loop(graph):
    body = onnx.GraphProto(name="body")
    graph.graph.node.append(helper.make_node("Loop", ["", ""], ["never"], body=body))


def function(graph):
    graph.functions.append(helper.make_function("", "Cast", ["a"], ["b"], [], [helper.make_opsetid("", 20)]))


GRAPH = onnx.AttributeProto.GRAPH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external("weights.bin"), "data in other files"),
        (external("../../etc/passwd"), "data in other files"),
        (constant(dims=[1 << 40]), "a constant whose shape is not that of its data"),
        (constant(dims=[1 << 31, 1 << 32, 4]), "a constant whose shape is not that of its data"),
        (constant(dims=[-1, -1]), "a constant whose shape is not that of its data"),
        (constant(data_type=8), "a constant whose shape is not that of its data"),
        (of_node(domain="com.microsoft"), "operators of other domains"),
        (of_node(op_type="NoSuch"), "the operator 'NoSuch'"),
        (loop, "the operator 'Loop'"),
        (function, "operators of other domains"),
        (attribute(type=GRAPH, g=onnx.GraphProto(name="body")), "graphs or other data within operators"),
        (attribute(type=onnx.AttributeProto.INT, g=onnx.GraphProto(name="body")), "graphs or other data"),
        (attribute(type=onnx.AttributeProto.TENSORS, tensors=[onnx.TensorProto()]), "graphs or other data"),
        (lambda graph: graph.graph.sparse_initializer.append(onnx.SparseTensorProto()), "sparse tensors"),
        (lambda graph: graph.graph.output.append(graph.graph.output[0]), "2 outputs"),
        (lambda graph: graph.graph.node.append(graph.graph.node[-1]), "values of the same name"),
        (of_node(doc_string="a" * STRUCTURE_BYTES), "more than 4194304 bytes besides its weights"),
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
    with pytest.raises(ValueError, match=r"forged\.onnx (is no|has) "):
        OnnxModel(fit[0], tmp_path / "forged.onnx")


def test_a_graph_that_asks_for_all_memory_is_an_error(fit, tmp_path):
    record, folder = fit
    graph = onnx.load(folder / "model-0.onnx")
    (last,) = graph.graph.output
    for name, value in {"huge": [1 << 30, 1 << 10, 3], "first": [0]}.items():
        graph.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    graph.graph.node.append(helper.make_node("Expand", [last.name, "huge"], ["all"]))
    graph.graph.node.append(helper.make_node("ReduceMean", ["all", "first"], ["average"], keepdims=0))
    last.name = "average"
    (tmp_path / "forged.onnx").write_bytes(graph.SerializeToString())
    clips = np.zeros((1, FRAMES, SIZE, SIZE, 3), np.uint8)
    with pytest.raises(Exception, match=r"Available memory of .* is smaller than requested"):
        OnnxModel(record, tmp_path / "forged.onnx").predict_proba(clips=clips)


DAMAGE = """
import json, sys
from pathlib import Path
import numpy as np
from clipfold.models.onnx_graph import STRUCTURE_BYTES
from clipfold.models.onnx_model import OnnxModel
from clipfold.video.address_space import limit_address_space

record, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
good, path, rng = (folder / "model-0.onnx").read_bytes(), Path(sys.argv[3], "model-0.onnx"), np.random.default_rng(0)
clips, ends = np.zeros((1, 4, 16, 16, 3), np.uint8), {"refused": 0, "predicted": 0}
limit_address_space(4000)
for number in range(150):
    data = bytearray(good)
    for place in rng.integers(0, len(data), 1 + number % 4):
        data[place] = rng.integers(256)
    path.write_bytes(data[: rng.integers(len(data))] if number % 10 == 0 else data)
    try:
        OnnxModel(record, path).predict_proba(clips=clips)
        ends["predicted"] += 1
    except Exception:
        ends["refused"] += 1
print(json.dumps(ends))
"""


def test_no_damage_ends_the_process_and_nothing_is_reported_to_anybody(fit, tmp_path):
    record, folder = fit
    home = tmp_path / "home"  # where ONNX Runtime keeps what it is about to send, unless it is told not to
    home.mkdir()
    hidden = ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"HOME": str(home)}
    command = [sys.executable, "-c", DAMAGE, json.dumps(record), str(folder), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["refused"] > 50
    assert not [*home.iterdir()]


@pytest.mark.parametrize("changes", [{"classes": ["a", "b"]}, {"settings": {"size": 8, "frames": FRAMES}}])
def test_a_graph_of_another_fit_is_refused(fit, changes):
    record, folder = fit
    with pytest.raises(ValueError, match="export it again"):
        OnnxModel(record | changes, folder / "model-0.onnx")
