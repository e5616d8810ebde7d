"""A bundle whose views show faces carries their detector, and runs none that does more than find faces."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from helpers.bundles import repack
from helpers.disc_detector import write_detector
from helpers.finished_run import CLIPS, CONFIG, FEATURES, bundle_task

import clipfold
from clipfold.delivery.format import FACE_MODEL
from clipfold.delivery.write import write_bundle
from clipfold.plan import Plan
from clipfold.settings import DecodeSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    """The folder of a bundle of the run's network, made as if its clips showed faces; the detector is gone."""
    folder = tmp_path_factory.mktemp("faces")
    model = write_detector(folder / "discs of ours.onnx")
    clips = {"kind": "uniform", "frames": 16, "region": "face"}
    decode = {"views": {**DecodeSettings().views, "clips": clips}, "face_model": str(model)}
    plan = Plan.from_config(
        CONFIG | {"models": [CLIPS_ALONE], "manifest": "videos.csv", "decode": decode}, [run.folder]
    )
    task = replace(bundle_task(plan, run.results, CLIPS), bundle=folder / "a.clipfold", card=folder / "a.md")
    write_bundle(task)
    model.unlink()
    shutil.unpack_archive(folder / "a.clipfold", folder / "unpacked", "zip")
    return folder / "unpacked"


CLIPS_ALONE = next(each for each in CONFIG["models"] if isinstance(each, dict) and each["name"] == CLIPS)


def frames(x):
    """Return a clip with a red disc, and a wall that differs from place to place."""
    picture = np.tile(np.linspace(0, 200, 640, dtype=np.uint8)[None, :, None], (360, 1, 3))
    return np.stack([cv2.circle(picture.copy(), (x, 150), 40, (230, 20, 20), -1)] * 12)


def test_it_finds_faces_elsewhere_and_says_whose_network_did(bundle):
    with clipfold.load(bundle) as opened:
        assert opened.views["clips"].region is not None
        seen = [opened.predict_frames(frames(x), 12.0).p_tampered.item() for x in (200, 440)]
        assert opened.golden_problems() == []
    assert seen[0] != seen[1]
    facts = json.loads((bundle / "bundle.json").read_text())
    assert facts["decode"]["face_model"] == FACE_MODEL
    assert any(FACE_MODEL in note for note in facts["licences"])
    assert all(b"discs of ours" not in file.read_bytes() for file in bundle.rglob("*") if file.is_file())


def test_others_carry_none(bundles):
    for model in (CLIPS, FEATURES):
        assert "face_model" not in bundles[model].description["decode"]
        assert not (bundles[model].folder / FACE_MODEL).exists()


@pytest.fixture
def forged(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "forged")


def edited(folder, change):
    graph = onnx.load(folder / FACE_MODEL)
    change(graph)
    onnx.save(graph, folder / FACE_MODEL)
    repack(folder)


def read_a_file(graph):
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def run_a_loop(graph):
    graph.graph.node[0].op_type = "Loop"


def return_less(graph):
    del graph.graph.output[1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [(read_a_file, "data in other files"), (run_a_loop, "the operator 'Loop'"), (return_less, "1 outputs")],
)
def test_a_network_that_does_more_is_refused_before_it_runs(forged, change, message):
    edited(forged, change)
    with pytest.raises(ValueError, match=f"{FACE_MODEL} has {message}"):
        clipfold.load(forged)


def test_a_file_that_is_no_network_or_too_large_is_refused(forged):
    (forged / FACE_MODEL).write_bytes(b"no network")
    repack(forged)
    with pytest.raises(ValueError, match=f"{FACE_MODEL} is no ONNX graph"):
        clipfold.load(forged)
    with open(forged / FACE_MODEL, "wb") as file:
        file.truncate((1 << 24) + 1)
    repack(forged)
    with pytest.raises(ValueError, match=f"{FACE_MODEL} is 'over 16777216 bytes'"):
        clipfold.load(forged)


def test_a_file_outside_of_the_bundle_is_not_opened(forged):
    outside = write_detector(forged.parent / "outside.onnx")
    (forged / FACE_MODEL).unlink()
    repack(forged, lambda facts: facts | {"decode": facts["decode"] | {"face_model": str(outside)}})
    with pytest.raises(ValueError, match=r"decode\.face_model is .*face\.onnx'"):
        clipfold.load(forged)
