"""A bundle whose parts lie reads nothing outside of it, and fails with an error that says which part."""

import json

import pytest
from helpers.bundles import describe, make_bundle
from helpers.fits import settings_of
from safetensors.torch import save_file

import clipfold
from clipfold.delivery.format import listed
from clipfold.models.architectures import naive_cnn

CLASSES = ["calm", "fight"]
DECODE = {"size": 32, "views": {"clips": {"kind": "uniform", "frames": 4}}}
ENSEMBLE = {"architecture": "clipfold.training.on_predictions", "input": "predictions"}


def record(architecture, **changes):
    module = f"clipfold.models.architectures.{architecture}"
    common = {"format": 1, "classes": CLASSES, "architecture": module, "input": "clips", "seed": 0, "embedded": False}
    return common | {"settings": settings_of(architecture), "precision": "fp32", "micro_batch": 4} | changes


def write_fit(folder, **changes):
    """Write a fit of a small network; `changes` replace keys of its record."""
    folder.mkdir(parents=True)
    own = record("naive_cnn")
    save_file(naive_cnn.build(own["settings"], 2).state_dict(), folder / "model.safetensors")
    (folder / "fit.json").write_text(json.dumps(own | changes))


def bundle_of(folder, fit, model=None, **changes):
    """Write a bundle with the record of a fit; None leaves that of a small network."""
    write_fit(folder / "fits/0")
    if fit is not None:
        (folder / "fits/0/fit.json").write_text(json.dumps(fit))
    if model is not None:
        (folder / "fits/0/model.json").write_text(json.dumps(model))
    facts = describe(folder, **{"input": "clips", "decode": DECODE} | changes)
    (folder / "bundle.json").write_text(json.dumps(facts | {"files": listed(folder)}))
    return folder


def test_a_whole_bundle_is_loaded(tmp_path):
    assert clipfold.load(bundle_of(tmp_path / "b", None)).fits[0].classes == CLASSES


def test_a_frozen_encoder_is_not_looked_for_outside_of_the_bundle(tmp_path):
    (tmp_path / "outside.safetensors").write_bytes(b"private")
    settings = settings_of("vit_gru", freeze=True, weights=str(tmp_path / "outside.safetensors"))
    encoder = {"encoder": settings["encoder"], "size": settings["size"], "weights": settings["weights"], "sha256": "0"}
    fit = record("vit_gru", settings=settings, embedded=True, encoder=encoder)
    with pytest.raises(ValueError, match=r"encoder\.file is None"):
        assert clipfold.load(bundle_of(tmp_path / "b", fit)).fits


@pytest.mark.parametrize("inner", [False, True])
def test_members_are_not_looked_for_outside_of_the_bundle(tmp_path, inner):
    outside = str(tmp_path / "outside")
    write_fit(tmp_path / "outside/0")
    ensemble = ENSEMBLE | {"format": 1, "classes": CLASSES, "settings": {"members": [outside]}}
    folder = bundle_of(tmp_path / "b", ensemble, {"weights": {"inner" if inner else outside: 1.0}})
    if inner:
        own = folder / "fits/0/members/inner"
        own.mkdir(parents=True)
        (own / "fit.json").write_text(json.dumps(ensemble))
        (own / "model.json").write_text(json.dumps({"weights": {outside: 1.0}}))
        facts = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(facts | {"files": listed(folder)}))
    with pytest.raises(ValueError, match="members has no"):
        assert clipfold.load(folder).fits


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {}},
        {"settings": settings_of("naive_cnn") | {"width": "wide"}},
        {"settings": settings_of("naive_cnn") | {"size": -1}},
        {"settings": settings_of("naive_cnn") | {"frames": None}},
        {"micro_batch": [1]},
        {"seed": None},
        {"embedded": True},
        {"input": "features"},
    ],
)
def test_a_record_that_cannot_be_used_names_the_fit(tmp_path, changes):
    with pytest.raises(ValueError, match="fits/0 cannot be used"):
        assert clipfold.load(bundle_of(tmp_path / "b", record("naive_cnn", **changes))).fits


@pytest.mark.parametrize(
    "changes",
    [
        {"probe": {"plugin": "x"}},
        {"probe": {"max_pixels": "many"}},
        {"policy": {"corrupt": "trust"}},
        {"decode": {"views": None}},
        {"decode": {"views": "clips"}},
        {"decode": {"views": {"clips": 1}}},
        {"decode": {"views": {"clips": {"kind": "uniform", "frames": 10**9}}}},
    ],
)
def test_settings_that_no_run_has_are_refused(tmp_path, changes):
    with pytest.raises(ValueError, match=r"probe|policy|decode"):
        clipfold.load(make_bundle(tmp_path / "b", **changes))
