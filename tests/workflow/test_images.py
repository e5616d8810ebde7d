"""The whole workflow on images, and on videos that are folders, archives and members of tar files."""

import csv
import shutil
import subprocess
import sys

import av
import pytest
from helpers.browser import CHROMIUM, Browser
from helpers.harness import PROJECT, Workflow
from helpers.pictures import encoded, pixels, write_folder, write_tar, write_zip

import clipfold
from clipfold.demo.pictures import make_pictures
from clipfold.demo.write import make_demo
from clipfold.storage.files import read_table

pytestmark = pytest.mark.workflow

CNN = {"architecture": "naive_cnn", "name": "cnn", "size": 32, "width": 4, "epochs": 2, "threads": 1}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A finished run on the demo's images."""
    workflow = Workflow(PROJECT, tmp_path_factory.mktemp("images"))
    make_pictures(workflow.directory, sources=4)
    workflow.configure(modality="image", manifest="pictures.csv", models=["logistic_regression", CNN])
    workflow.run()
    return workflow.directory


def accounted(folder, model):
    predicted = read_table(folder / "results/evaluation/predictions.parquet").to_pandas()
    rejected = read_table(folder / "results/splits/quarantine.parquet").to_pandas()
    return set(predicted[predicted.model == model].id), dict(zip(rejected.id, rejected.status, strict=True))


def test_every_image_is_predicted_or_quarantined(images):
    with open(images / "pictures.csv", encoding="utf-8", newline="") as file:
        rows = {row["path"] for row in csv.DictReader(file)}
    damaged = {"pictures/01-harbour-real-1.jpg": "truncated", "pictures/02-main street-tampered-2.png": "unreadable"}
    for model in ("logistic_regression", "cnn"):
        predicted, rejected = accounted(images, model)
        assert rejected == damaged
        assert predicted == rows - {*damaged}
    assert "30 usable images in 4 groups" in (images / "results/splits/audit.html").read_text()
    assert "A classifier of images" in (images / "results/bundles/best/README.md").read_text()


def test_the_report_says_images_and_opens_in_a_browser(images):
    page = images / "results/report/index.html"
    assert "30 images in 4 groups" in page.read_text()
    assert "Every image" in page.read_text()
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome is installed")
    with Browser() as browser:
        browser.open(page)
        assert browser.problems == []
        assert browser.run("document.querySelector('#videos-table th').textContent").startswith("Image")
        assert "video" not in browser.run("document.body.innerText.replaceAll(/\\S*[/._]\\S*|Config[^]*/g, '')").lower()


def test_a_bundle_predicts_a_folder_of_images(images, tmp_path):
    table = tmp_path / "out.csv"
    command = [sys.executable, "-m", "clipfold.cli", "predict", str(images / "results/bundles/best"), "pictures"]
    done = subprocess.run([*command, "--output", str(table)], cwd=images, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr  # some were not predicted
    assert "30 of 32 images predicted, 1 truncated, 1 unreadable, 30 of them training images" in done.stderr
    with open(table, encoding="utf-8", newline="") as file:
        assert sum(row["label"] in ("real", "tampered") for row in csv.DictReader(file)) == 30
    with clipfold.load(images / "results/bundles/best") as bundle:
        assert bundle.golden_problems() == []
        row = bundle.predict_frames(pixels(size=(96, 64))[None], 1.0).iloc[0]
        (tmp_path / "a.png").write_bytes(encoded(pixels(size=(96, 64))))
        assert bundle.predict(tmp_path / "a.png").iloc[0].p_real == pytest.approx(row.p_real)


def test_videos_may_be_folders_archives_and_members(tmp_path):
    make_demo(tmp_path / "made", sources=4)
    with open(tmp_path / "made/videos.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    members = {}
    for number, row in enumerate(rows):
        source = tmp_path / "made" / row["path"]
        try:
            with av.open(str(source)) as container:
                frames = {
                    f"{i}.png": encoded(f.to_ndarray(format="rgb24")) for i, f in enumerate(container.decode(video=0))
                }
                row["fps"] = str(container.streams.video[0].average_rate)
        except av.FFmpegError:
            frames = {}
        name = f"clip{number}"
        if not frames or number % 4 == 0:
            members[f"{name}{source.suffix}"] = source.read_bytes()
            row |= {"path": f"shard-000.tar/{name}{source.suffix}", "fps": ""}
        elif number % 4 == 1:
            write_folder(tmp_path / name, frames)
            row["path"] = name
        else:
            suffix = (".zip", ".tar")[number % 2]
            (write_zip if suffix == ".zip" else write_tar)(tmp_path / f"{name}{suffix}", frames)
            row["path"] = f"{name}{suffix}"
    write_tar(tmp_path / "shard-000.tar", members)
    shutil.rmtree(tmp_path / "made")
    with open(tmp_path / "videos.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["path", "label", "group", "fps"])
        table.writeheader()
        table.writerows(rows)
    workflow = Workflow(PROJECT, tmp_path)
    workflow.configure(models=["svm"])
    workflow.run("results/evaluation/predictions.parquet")
    predicted, rejected = accounted(tmp_path, "svm")
    assert sorted(rejected.values()) == ["unreadable", "unreadable"]
    assert len(predicted) == len(rows) - 2
    assert workflow.planned("results/evaluation/predictions.parquet") == {}
    (tmp_path / "clip1/3.png").write_bytes((tmp_path / "clip1/4.png").read_bytes())
    assert workflow.planned("results/evaluation/predictions.parquet")["probe"] == 1
