"""The golden test passes where the bundle answers as it did, and only there."""

import json
import shutil
from types import SimpleNamespace

import cv2
import pytest
from helpers.bundles import repack
from helpers.finished_run import CLIPS, ENSEMBLE, FEATURES, MODELS

import clipfold
from clipfold.clips import resize
from clipfold.delivery.golden import golden_problems
from clipfold.features import motion
from clipfold.video import picture

pytestmark = pytest.mark.slow


@pytest.fixture
def copied(bundles, tmp_path):
    """Copy the folder of a bundle."""
    return lambda model: shutil.copytree(bundles[model].folder, tmp_path / model)


@pytest.mark.parametrize("model", MODELS)
def test_it_passes_where_the_bundle_was_made(bundles, model):
    assert bundles[model].golden_problems() == []


def changed(monkeypatch, target, name, change):
    original = getattr(target, name)
    monkeypatch.setattr(target, name, lambda *args: change(original(*args)))


@pytest.mark.parametrize("model", MODELS)
def test_another_filter_in_decoding_is_found(bundles, monkeypatch, model):
    """Frames are shrunk by another filter while they are decoded."""
    monkeypatch.setattr(picture, "Interpolation", SimpleNamespace(AREA=picture.Interpolation.BILINEAR))
    problems = bundles[model].golden_problems()
    assert any("mp4: clips: 112: " in line for line in problems)


@pytest.mark.parametrize("model", [CLIPS, ENSEMBLE])
def test_another_filter_before_the_model_is_found(bundles, monkeypatch, model):
    resized = cv2.resize
    monkeypatch.setattr(
        resize.cv2, "resize", lambda frame, size, interpolation: resized(frame, size, interpolation=cv2.INTER_LINEAR)
    )
    problems = bundles[model].golden_problems()
    assert any("clips: 32: " in line for line in problems)
    assert not any("clips: 112: " in line for line in problems)


@pytest.mark.parametrize("model", MODELS)
def test_swapped_colours_are_found(bundles, monkeypatch, model):
    changed(
        monkeypatch, picture.Picture, "letterboxed", lambda pixels: pixels[..., ::-1] if pixels.ndim == 3 else pixels
    )
    problems = bundles[model].golden_problems()
    assert any("clips: 112: 0: expected" in line for line in problems)


@pytest.mark.parametrize("difference", [0.01, 1e-12])
def test_another_threshold_is_found(copied, difference):
    folder = copied(FEATURES)
    repack(folder, lambda facts: facts | {"threshold": facts["threshold"] - difference})
    with clipfold.load(folder) as bundle:
        (problem,) = bundle.golden_problems()
    assert problem.startswith("threshold: expected 0.")


def test_another_temperature_is_found(copied):
    folder = copied(CLIPS)
    repack(folder, lambda facts: facts | {"fits": [fit | {"temperature": 0.01} for fit in facts["fits"]]})
    with clipfold.load(folder) as bundle:
        assert any("probabilities: real: expected" in line for line in bundle.golden_problems())


def test_another_version_of_a_feature_is_found(bundles, monkeypatch):
    def another(values):
        return {name: 1.01 * value for name, value in values.items()}

    changed(monkeypatch, motion, "features", another)
    problems = bundles[FEATURES].golden_problems()
    assert problems
    assert all(": features: motion." in line or ": probabilities: " in line for line in problems)


def test_features_of_another_version_are_refused(copied):
    folder = copied(FEATURES)
    repack(folder, lambda facts: {name: facts[name] for name in facts if name != "feature_versions"})  # an older bundle
    with clipfold.load(folder) as bundle, pytest.raises(ValueError, match="motion: version is 1: this version of clip"):
        bundle.golden_problems()


def test_a_video_that_no_longer_opens_is_found(copied):
    folder = copied(FEATURES)
    (folder / "golden/1.mkv").write_bytes(b"no video")
    repack(folder)
    with clipfold.load(folder) as bundle:
        assert any(line.startswith("1.mkv: expected {") and line.endswith("None") for line in golden_problems(bundle))


@pytest.mark.parametrize("lie", ["0.9", "[]", "{}", "null", '"ok"', '{"threshold": 1e400}', '{"0.mp4": [[]]}'])
def test_a_test_that_lies_fails(copied, lie):
    folder = copied(FEATURES)
    (folder / "golden/expected.json").write_text(lie)
    repack(folder)
    with clipfold.load(folder) as bundle:
        assert bundle.golden_problems()


def test_a_probability_that_lies_is_found_whatever_its_class_is_called(copied):
    """Classes may have the names of other parts of the test, which are compared less closely."""
    folder = copied(FEATURES)
    for record in folder.glob("fits/*/fit.json"):
        record.write_text(json.dumps(json.loads(record.read_text()) | {"classes": ["clips", "features"]}))
    text = (folder / "golden/expected.json").read_text()
    expected = json.loads(text.replace('"real"', '"clips"').replace('"tampered"', '"features"'))
    expected["0.mp4"]["probabilities"]["clips"] += 0.01
    (folder / "golden/expected.json").write_text(json.dumps(expected))
    repack(folder, lambda facts: facts | {"classes": ["clips", "features"], "positive": "features"})
    with clipfold.load(folder) as bundle:
        (problem,) = bundle.golden_problems()
    assert problem.startswith("0.mp4: probabilities: clips: expected")


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"threshold": NaN}', b"[" * 100_000])
def test_a_test_that_cannot_be_read_is_an_error_for_users(copied, content):
    folder = copied(FEATURES)
    (folder / "golden/expected.json").write_bytes(content)
    repack(folder)
    with clipfold.load(folder) as bundle, pytest.raises(ValueError, match=r"expected\.json"):
        bundle.golden_problems()


def test_a_bundle_without_the_test_fails_it(copied):
    folder = copied(FEATURES)
    shutil.rmtree(folder / "golden")
    repack(folder)
    with clipfold.load(folder) as bundle, pytest.raises(ValueError, match="make the bundle again"):
        bundle.golden_problems()
