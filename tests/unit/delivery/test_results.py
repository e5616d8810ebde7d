"""The results of a run are data frames by name."""

import pandas as pd
import pytest
from helpers.finished_run import MODELS

import clipfold

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", "results"])
def results(run, request):
    return clipfold.results(run.folder if request.param == "folder" else str(run.results))


def test_tables_are_those_that_the_run_wrote(run, results):
    for name in ("comparison", "metrics", "predictions"):
        pd.testing.assert_frame_equal(
            getattr(results, name), pd.read_parquet(run.results / f"evaluation/{name}.parquet")
        )
    assert set(results.predictions.model) == set(MODELS)
    assert len(results.predictions) == 14 * len(MODELS)
    assert results.quarantine.id.tolist() == ["videos/01-harbour-1.mp4", "videos/02-main street-2.mp4"]


def test_bundles_are_found_by_name_and_open(results):
    assert results.bundles.keys() == {*MODELS}
    for name, path in results.bundles.items():
        with clipfold.load(path) as bundle:
            assert bundle.name == name


def test_a_notebook_shows_the_comparison(results):
    shown = results._repr_html_()
    assert "<table" in shown
    assert all(f"<td>{model}</td>" in shown for model in MODELS)
    assert repr(results) == f"<clipfold results in {results.folder}: {', '.join(results.comparison.model)}>"


def test_a_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"results is .*: no evaluation there"):
        clipfold.results(tmp_path)
