"""A bundle gives the numbers of the run that made it, anywhere, and says nothing of the training videos."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.finished_run import CLIPS, EMBEDDINGS, FEATURES, MODELS, WEIGHTS

import clipfold
from clipfold.delivery.format import open_bundle
from clipfold.delivery.prepare import prepare
from clipfold.storage.files import read_frame

pytestmark = pytest.mark.slow

CLASSES = ["p_real", "p_tampered"]


@pytest.fixture(scope="module")
def unpacked(run, tmp_path_factory):
    """Model -> folder of its bundle."""
    root = tmp_path_factory.mktemp("unpacked")
    for model in MODELS:
        with open_bundle(run.bundle(model)) as folder:
            copy_tree(folder, root / model)
    return {model: root / model for model in MODELS}


def copy_tree(folder, target):
    for file in folder.rglob("*"):
        if file.is_file():
            (target / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (target / file.relative_to(folder)).write_bytes(file.read_bytes())


def python(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(clipfold.__file__).parents[1])} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("model", MODELS)
def test_each_fit_gives_the_predictions_of_its_fold_from_the_files_on(run, bundles, model):
    bundle = bundles[model]
    for fold, fit in enumerate(bundle.fits):
        expected = read_frame(run.fit(model, fold) / "predictions.parquet").set_index("id")
        expected = expected[expected.split == "test"]  # others may be out-of-fold predictions of inner fits
        prepared = prepare(bundle, {name: str(run.folder / name) for name in expected.index}, workers=2)
        assert prepared.usable == [*expected.index]
        found = fit.predict_proba(features=prepared.features, clips=prepared.clips, boxes=prepared.boxes)
        np.testing.assert_allclose(found, expected[CLASSES], rtol=0, atol=1e-6)
        assert found.std(axis=0).min() > 1e-4  # the videos differ: the same answer for all would not do


def test_a_prediction_is_the_mean_of_the_calibrated_fits_and_the_threshold_decides(bundles, videos):
    bundle, some = bundles[FEATURES], list(videos.values())[:4]
    found = bundle.predict(some)
    prepared = prepare(bundle, {str(path): str(path) for path in some}, workers=1)
    raw = bundle.probabilities(features=prepared.features)
    fits = bundle.description["fits"]
    odds = np.log(raw[..., 1] / raw[..., 0]) / np.array([[fit["temperature"]] for fit in fits])
    odds += np.array([[fit["bias"][1] - fit["bias"][0]] for fit in fits])
    each = 1 / (1 + np.exp(-odds))
    np.testing.assert_allclose(found.p_tampered, each.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.p_real + found.p_tampered, 1)
    np.testing.assert_allclose(found.spread, each.std(axis=0), atol=1e-9)
    above = found.p_tampered > bundle.description["threshold"]
    assert found.label.tolist() == ["tampered" if yes else "real" for yes in above]


@pytest.mark.parametrize("model", MODELS)
def test_a_bundle_names_neither_a_folder_nor_a_training_video(run, unpacked, model):
    """All bytes of all files are searched; names that are part of other words would be found too."""
    names = {path.stem.encode() for path in (run.folder / "videos").iterdir()} | {b"source-01", b"source-04"}
    places = {b"where it was trained", str(run.folder.parent).encode(), b"/tmp/", b"/home/", str(Path.home()).encode()}
    for file in unpacked[model].rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert [name for name in names | places if name in content] == [], file
    assert WEIGHTS.encode() in (unpacked[EMBEDDINGS] / "fits/0/fit.json").read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_the_file_its_folder_and_the_folder_of_the_run_s_bundle_are_one(run, bundles, unpacked, videos, model):
    some = list(videos.values())[:2]
    expected = bundles[model].predict(some, workers=1)
    for place in (unpacked[model], run.bundle(model).parent):
        with clipfold.load(place) as again:
            assert again.id == bundles[model].id
            pd.testing.assert_frame_equal(again.predict(some, workers=1), expected, check_exact=True)


def test_a_folder_that_nobody_may_write_to_is_enough(unpacked, videos):
    folder = unpacked[EMBEDDINGS]
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    for file in (folder, *before):
        file.chmod(file.stat().st_mode & ~0o222)
    try:
        with clipfold.load(folder) as bundle:
            assert bundle.predict(next(iter(videos.values()))).status.tolist() == ["ok"]
            assert bundle.golden_problems() == []
    finally:
        for file in (folder, *before):
            file.chmod(file.stat().st_mode | 0o200)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_what_was_unpacked_is_removed_on_closing(run):
    bundle = clipfold.load(run.bundle(FEATURES))
    assert (bundle.folder / "bundle.json").is_file()
    bundle.close()
    assert not bundle.folder.exists()


def test_the_card_lies_beside_the_bundle_and_in_it(run, unpacked):
    card = (run.bundle(CLIPS).parent / "README.md").read_text()
    assert card == (unpacked[CLIPS] / "README.md").read_text()
    assert "14 videos of 4 groups" in card
    assert "7 real, 7 tampered" in card
    assert "our own weights.safetensors, whose licence is not known" in (unpacked[EMBEDDINGS] / "README.md").read_text()


def test_two_threads_predict_as_one(run, videos):
    some = list(videos.values())[:3]
    with clipfold.load(run.bundle(EMBEDDINGS)) as bundle, ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: bundle.predict(some, workers=1), range(2))
        pd.testing.assert_frame_equal(first, second, check_exact=True)
        pd.testing.assert_frame_equal(first, bundle.predict(some, workers=1), check_exact=True)


def test_no_video_is_an_error_for_users(bundles):
    with pytest.raises(ValueError, match="videos is 0: name"):
        bundles[FEATURES].predict([])


def test_a_bundle_of_features_needs_no_pytorch(run, videos):
    code = """
import sys
class Missing:
    def find_spec(self, name, path, target=None):
        if name in ("torch", "torchvision"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import clipfold
with clipfold.load(sys.argv[1]) as bundle:
    print(bundle.predict(sys.argv[2]).status[0], bundle.golden_problems(), bundle.timeline(sys.argv[2], 1, 1).status[0])
"""
    assert python(code, run.bundle(FEATURES), next(iter(videos.values()))) == "ok [] ok\n"


def test_importing_clipfold_loads_nothing_heavy():
    """That is how it takes less than 0.2 s."""
    code = "import sys, clipfold; print([m for m in ('numpy', 'pandas', 'torch', 'av', 'sklearn') if m in sys.modules])"
    assert python(code) == "[]\n"


def test_a_notebook_shows_the_metrics(bundles):
    shown = bundles[FEATURES]._repr_html_()
    assert "&lt;clipfold bundle logistic_regression" in shown
    assert "<td>roc_auc</td>" in shown
    assert repr(bundles[CLIPS]) == f"<clipfold bundle cnn ({bundles[CLIPS].id}): real, tampered>"
