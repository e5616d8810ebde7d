"""Go from a finished run to predictions elsewhere: a model on all data, its bundle, its golden test, new videos."""

import numpy as np
import pandas as pd
import pytest
from helpers.harness import CONFIG, PROJECT, Workflow

import clipfold
from clipfold.storage.files import read_json

pytestmark = pytest.mark.workflow

BUNDLE = "results/bundles/{}/bundle.clipfold"


def test_a_model_on_all_data_goes_the_whole_way(workflow, tmp_path):
    """From the rule to a bundle, whose golden test passes, and to predictions in a folder without any training."""
    models = [*CONFIG["models"], {"architecture": "ensemble", "name": "both", "members": ["svm", "cnn"]}]
    workflow.configure(models=models, bundle={"models": ["both"], "final": True})
    workflow.run(BUNDLE.format("both"))
    with clipfold.load(workflow.directory / BUNDLE.format("both")) as bundle:
        assert (bundle.description["final"], len(bundle.fits)) == (True, 1)
        assert bundle.golden_problems() == []
        assert "fitted on all data, they are an estimate" in (bundle.folder / "README.md").read_text()

        elsewhere = Workflow(PROJECT, tmp_path / "elsewhere")
        elsewhere.directory.mkdir()
        elsewhere.write_rows(
            [["path", "label"], *([str(workflow.directory / p), label] for p, label, *_ in rows(workflow))]
        )
        new = {"manifest": "videos.csv", "bundle": str(workflow.directory / BUNDLE.format("both"))}
        elsewhere.configure(manifest="", predict=new)
        planned = elsewhere.planned()
        assert planned.pop("predict") > 1  # shards follow from the paths, which are others in each folder
        assert planned == {"predictions": 1, "all": 1}
        elsewhere.run()
        found = pd.read_parquet(elsewhere.directory / "results/predictions/predictions.parquet")
        expected = bundle.predict(found.path, workers=2)
        columns = [f"p_{name}" for name in bundle.classes]
        np.testing.assert_allclose(found[columns], expected[columns], rtol=0, atol=1e-6)
        assert found.status.tolist() == expected.status.tolist()
        assert (found.spread.dropna() == 0).all()  # there is one fit
    assert read_json(elsewhere.directory / "results/predictions/external.json") is None  # they are training videos
    assert not (elsewhere.directory / "results/models").exists()


def rows(workflow):
    return workflow.rows()[1:]
