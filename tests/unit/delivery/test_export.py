"""An exported bundle predicts as the one that it was made of, or is not written."""

import json
import sys

import numpy as np
import pytest
from helpers.finished_run import CLIPS, EMBEDDINGS, ENSEMBLE, FEATURES
from typer.testing import CliRunner

import clipfold
from clipfold.cli import app
from clipfold.delivery.export import export
from clipfold.models import to_onnx
from clipfold.models.onnx_graph import MissingLibrary
from clipfold.models.onnx_model import OnnxModel

pytestmark = pytest.mark.slow

COLUMNS = ["p_real", "p_tampered", "spread"]


def predictions(path, videos):
    with clipfold.load(path) as bundle:
        return bundle.predict(videos)[COLUMNS].to_numpy()


@pytest.mark.parametrize("model", [CLIPS, ENSEMBLE])
def test_it_predicts_the_same_through_the_same_command_and_says_what_it_gains(run, videos, tmp_path, model):
    some, output, figures = [*videos.values()][:3], tmp_path / "out box.clipfold", tmp_path / "figures.json"
    command = ["export", str(run.bundle(model)), "-o", str(output), "--threads", "1", "--json", str(figures)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = json.loads(figures.read_text())
    assert "ONNX ms" in done.output
    assert len(rows) == 2
    assert all(row["difference"] < 1e-5 and row["onnx_ms"] > 0 for row in rows)
    np.testing.assert_allclose(predictions(output, some), predictions(run.bundle(model), some), atol=1e-6)
    with clipfold.load(output) as bundle:
        assert bundle.golden_problems() == []
        fit = bundle.fits[0]
        assert isinstance(fit if model == CLIPS else fit._members[-1], OnnxModel)
    with pytest.raises(ValueError, match="exported already: use the original"):
        export(output, "onnx", tmp_path / "again.clipfold")


@pytest.mark.parametrize(
    ("model", "message"),
    [(FEATURES, "it has no network on clips"), (EMBEDDINGS, "export a model that has no `freeze`")],
)
def test_what_cannot_be_exported_is_an_error_that_leads_out(run, tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        export(run.bundle(model), "onnx", tmp_path / "a.clipfold")
    assert not [*tmp_path.iterdir()]


def test_nothing_is_written_if_the_golden_test_fails(run, tmp_path, monkeypatch):
    rebuild = to_onnx.rebuild

    def worse(*args):
        network = rebuild(*args)
        for weights in network.parameters():
            weights.data *= 1.5
        return network

    monkeypatch.setattr(to_onnx, "rebuild", worse)
    with pytest.raises(ValueError, match=r"the export differs by up to 0\.\d+, and .* is allowed .*nothing is written"):
        export(run.bundle(CLIPS), "onnx", tmp_path / "a.clipfold")
    assert not [*tmp_path.iterdir()]


def test_without_the_library_the_error_says_how_to_get_it(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingLibrary, match=r"onnxruntime is missing: pip install 'clipfold\[export\]'"):
        export(run.bundle(CLIPS), "onnx", tmp_path / "a.clipfold")
