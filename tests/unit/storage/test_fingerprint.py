import shutil

import pytest

from clipfold.storage import fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "clipfold"
    shutil.copytree(fingerprint.PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", root)
    return root


def after(package, file, old, new, *sources):
    """Return the fingerprints before and after an edit."""
    fingerprint._read.cache_clear()
    before = fingerprint.fingerprint(*sources)
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    fingerprint._read.cache_clear()
    return before, fingerprint.fingerprint(*sources)


def test_an_edit_of_an_imported_module_counts(package):
    before, now = after(package, "video/sampling.py", "2 * i + 1", "2 * i + 2", "clipfold.video.decode_shard")
    assert before != now


def test_comments_docstrings_and_layout_do_not_count(package):
    old = '"""Take the middle frame'
    before, now = after(package, "video/sampling.py", old, '"""Take a middle frame', "clipfold.video.decode_shard")
    assert before == now
    before, now = after(package, "clips/resize.py", "import cv2\n", "import cv2  # OpenCV\n\n", "clipfold.clips.resize")
    assert before == now


def test_settings_do_not_count_since_their_values_do(package):
    before, now = after(package, "settings.py", "16 <= self.size", "15 < self.size", "clipfold.video.decode_shard")
    assert before == now


def test_models_do_not_count_for_one_another(package):
    sources = ("clipfold.training.on_features", "clipfold.models.architectures.svm")
    before, now = after(package, "models/architectures/logistic_regression.py", "5000", "6000", *sources)
    assert before == now
    before, now = after(package, "training/train_step.py", "self.micro //= 2", "self.micro //= 4", *sources)
    assert before == now
    before, now = after(package, "models/architectures/svm.py", "intercept_ = 1.0", "intercept_ = 1.5", *sources)
    assert before != now


def test_lazy_imports_count(package):
    before, now = after(package, "checks.py", "if not condition", "if condition", "clipfold.manifest.read")
    assert before != now


def test_an_unknown_module_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"clipfold\.nothing is not a module"):
        fingerprint.fingerprint("clipfold.nothing")


def test_code_for_type_checkers_alone_does_not_count(package):
    old = "if TYPE_CHECKING:"
    before, now = after(package, "splits/assign.py", old, f"{old}\n    import types", "clipfold.splits.split")
    assert before == now


@pytest.mark.parametrize(
    ("old", "new"), [("_ATTEMPTS = 20", "_ATTEMPTS = 20.0"), ("_ATTEMPTS = 20", "_ATTEMPTS = -20")], ids=repr
)
def test_types_and_signs_of_constants_count(package, old, new):
    before, now = after(package, "splits/assign.py", old, new, "clipfold.splits.split")
    assert before != now
