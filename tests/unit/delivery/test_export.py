"""An exported bundle predicts as the one that it was made of, or is not written."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.bundles import repack
from helpers.finished_run import CLIPS, EMBEDDINGS, ENSEMBLE, FEATURES
from typer.testing import CliRunner

import clipfold
from clipfold.checks import MissingLibrary
from clipfold.cli import app
from clipfold.delivery.compared import Agreement, Compared
from clipfold.delivery.export import accept, export
from clipfold.delivery.golden import EXPECTED, golden_clips
from clipfold.delivery.sources import Sources
from clipfold.models import to_onnx
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.program_model import ProgramModel
from clipfold.models.record import read_record

pytestmark = pytest.mark.slow

COLUMNS = ["p_real", "p_tampered", "spread"]
GRAPHS = {}


@pytest.fixture(autouse=True)
def once(monkeypatch):
    """Bundles of the run share networks: PyTorch exports each once."""
    export_it = to_onnx.to_onnx

    def export_once(record, weights, *others):
        key = weights.read_bytes(), *others[1:]
        return GRAPHS.get(key) or GRAPHS.setdefault(key, export_it(record, weights, *others))

    monkeypatch.setattr(to_onnx, "to_onnx", export_once)


def predictions(path, videos):
    with clipfold.load(path) as bundle:
        return bundle.predict(videos)[COLUMNS].to_numpy()


@pytest.mark.parametrize("model", [CLIPS, ENSEMBLE])
def test_it_predicts_the_same_through_the_same_command_and_says_what_it_gains(run, videos, tmp_path, model):
    some, output, figures = [*videos.values()][:3], tmp_path / "out box.clipfold", tmp_path / "figures.json"
    command = ["export", str(run.bundle(model)), "-o", str(output), "--threads", "1", "--json", str(figures)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = json.loads(figures.read_text())["networks"]
    assert "ms AMONG 8" in done.output
    assert len(rows) == 2
    assert all(row["difference"] < 1e-5 and min(row["exported_ms"], row["exported_batch_ms"]) > 0 for row in rows)
    np.testing.assert_allclose(predictions(output, some), predictions(run.bundle(model), some), atol=1e-6)
    with clipfold.load(output) as bundle:
        assert bundle.golden_problems() == []
        fit = bundle.fits[0]
        assert isinstance(fit if model == CLIPS else fit._members[-1], OnnxModel)
    with pytest.raises(ValueError, match="exported already: use the original"):
        export(output, "onnx", tmp_path / "again.clipfold")


def test_eight_bits_are_calibrated_and_compared_on_videos(run, videos, tmp_path):
    output, figures = tmp_path / "int8.clipfold", tmp_path / "figures.json"
    command = ["export", str(run.bundle(CLIPS)), "--to", "onnx-int8", "--videos", str(run.manifest), "--threads", "1"]
    done = CliRunner().invoke(app, [*command, "-o", str(output), "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert "On 7 videos: largest difference of a probability 0.0" in done.output
    assert "Right: " in done.output
    agreed = json.loads(figures.read_text())["videos"]
    assert 0 < agreed["difference"] < 0.05
    with clipfold.load(output) as bundle:
        assert bundle.golden_problems() == []
        assert "## Exported to onnx-int8" in (bundle.folder / "README.md").read_text()
        graphs = [onnx.load(path) for path in bundle.folder.rglob("*.onnx")]
    types = [tensor.data_type for graph in graphs for tensor in graph.graph.initializer if len(tensor.dims) == 5]
    assert {*types} == {onnx.TensorProto.INT8}


@pytest.mark.parametrize(
    ("exported", "message"), [("tflite", "exported is 'tflite': export the bundle again"), ("onnx", "model-0.onnx")]
)
def test_a_bundle_that_only_says_that_it_is_exported_is_refused(bundles, tmp_path, exported, message):
    folder = shutil.copytree(bundles[CLIPS].folder, tmp_path / "bundle")
    record = json.loads((folder / "fits/0/fit.json").read_text())
    (folder / "fits/0/fit.json").write_text(json.dumps(record | {"exported": exported}))
    repack(folder)
    with pytest.raises(ValueError, match=message), clipfold.load(folder) as bundle:
        _ = bundle.fits


def test_an_export_that_changes_decisions_is_refused():
    changed = {"videos": 100, "difference": 0.2, "labelled": 0, "eager_right": 0, "exported_right": 0}
    accept("b", [], [], Agreement(changed=2, **changed), "onnx-int8")
    with pytest.raises(ValueError, match=r"changes 3 of 100 decisions, .* 2% is allowed: nothing .* use --to onnx"):
        accept("b", [], [], Agreement(changed=3, **changed), "onnx-int8")


@pytest.fixture(scope="module")
def programs(run, tmp_path_factory):
    """A bundle with programs, and one of these."""
    output = tmp_path_factory.mktemp("exported") / "programs"
    done = CliRunner().invoke(app, ["export", str(run.bundle(ENSEMBLE)), "--to", "torch-export", "-o", str(output)])
    assert done.exit_code == 0, done.output
    program, _ = sorted(output.rglob("*.pt2"))
    return output, program


def test_a_program_of_pytorch_answers_the_same_without_clipfold(bundles, programs, tmp_path):
    output, program = programs
    clips, boxes = golden_clips(bundles[CLIPS])
    answers = bundles[CLIPS].fits[0].predict_proba(clips=clips, boxes=boxes)
    given = ProgramModel(read_record(program.with_name("fit.json")), program.read_bytes()).inputs(clips, boxes)
    np.savez(tmp_path / "given.npz", **{name: np.concatenate([each[name] for each in given]) for name in given[0]})
    asked = (
        "import sys, numpy, torch; given = numpy.load(sys.argv[2]);"
        "program = torch.export.load(sys.argv[1]).module();"
        "found = program(*(torch.from_numpy(given[name]) for name in ('clips', 'boxes')));"
        "numpy.save(sys.argv[3], found.detach().numpy()); assert 'clipfold' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", asked, program, tmp_path / "given.npz", tmp_path / "found.npy"], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), answers, atol=1e-6)
    with clipfold.load(output) as bundle:
        assert bundle.description["format"] == bundles[ENSEMBLE].description["format"]
        assert bundle.golden_problems() == []


def test_a_program_holds_nothing_pickled_and_no_name_of_this_machine(programs):
    with zipfile.ZipFile(programs[1]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = [name for name, content in members.items() if name.endswith((".pt", ".pkl")) and content]
    assert pickled == []
    configs = [json.loads(content) for name, content in members.items() if name.endswith("_config.json")]
    assert len(configs) == 2
    assert not any(each["use_pickle"] for config in configs for each in config["config"].values())
    (program,) = (content.decode() for name, content in members.items() if name.endswith("model.json"))
    assert "site-packages" not in program
    assert str(Path(clipfold.__file__).parent) not in program


def test_a_program_that_differs_is_refused(run):
    row = Compared("fits/0", 1, 1.0, 1.0, 1.0, 1.0, 1, 1, difference=0.002)
    with pytest.raises(ValueError, match=r"differs by up to 0\.002, and 0\.001 is allowed: nothing is written"):
        accept("b", [], [row], None, "torch-export")
    accept("b", [], [replace(row, difference=0.0005)], None, "torch-export")


def test_a_program_is_not_compared_on_videos(run, tmp_path):
    with pytest.raises(ValueError, match="videos is 'given': leave it out"):
        export(run.bundle(CLIPS), "torch-export", tmp_path / "a.clipfold", Sources({"a": "a.mp4"}))


def test_eight_bits_need_videos(run, tmp_path):
    with pytest.raises(ValueError, match="onnx-int8 needs some to calibrate: add --videos FOLDER"):
        export(run.bundle(CLIPS), "onnx-int8", tmp_path / "a.clipfold")


@pytest.mark.parametrize(
    ("model", "message"),
    [(FEATURES, "it has no network on clips"), (EMBEDDINGS, "export a model that has no `freeze`")],
)
def test_what_cannot_be_exported_is_an_error_that_leads_out(run, tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        export(run.bundle(model), "onnx", tmp_path / "a.clipfold")
    assert not [*tmp_path.iterdir()]


def test_nothing_is_written_if_the_golden_test_fails(run, bundles, tmp_path):
    folder = shutil.copytree(bundles[CLIPS].folder, tmp_path / "bundle")
    expected = json.loads((folder / EXPECTED).read_text())
    expected["0.mp4"]["probabilities"]["real"] += 0.01
    (folder / EXPECTED).write_text(json.dumps(expected))
    repack(folder)
    with pytest.raises(ValueError, match=r"0\.mp4: probabilities: real: expected .*: nothing is written"):
        export(folder, "onnx", tmp_path / "a.clipfold")
    assert [*tmp_path.iterdir()] == [folder]


def test_without_the_library_the_error_says_how_to_get_it(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingLibrary, match=r"onnxruntime is missing: pip install 'clipfold\[export\]'"):
        export(run.bundle(CLIPS), "onnx", tmp_path / "a.clipfold")
