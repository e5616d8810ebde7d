"""Videos and results in an object store: a real server of the S3 protocol, and Snakemake's own plugin."""

import csv

import boto3
import numpy as np
import pytest
from helpers.harness import PROJECT, Workflow
from moto.server import ThreadedMotoServer

import clipfold
from clipfold.storage.files import read_frame

pytestmark = pytest.mark.workflow


@pytest.fixture
def store(monkeypatch):
    """An empty bucket `clips`, and where its server is."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=url)
    client.create_bucket(Bucket="clips")
    yield client, url
    server.stop()


def test_videos_and_results_in_an_object_store(finished, store, tmp_path):
    client, url = store
    here = Workflow(PROJECT, tmp_path / "work here")
    here.directory.mkdir()
    here.configure()
    header, *rows = finished.rows()
    with open(here.directory / "videos.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", *header])
        for number, (path, *rest) in enumerate(rows):
            video = finished.directory / path
            key = f"videos/{number} of{video.suffix}"
            if video.exists():  # the others are in quarantine for not being there, as they are without a store
                client.upload_file(str(video), "clips", key)
            table.writerow([path, f"s3://clips/{key}" if video.exists() else path, *rest])
    predictions = [f"models/{model}/fold-0/predictions.parquet" for model in ("svm", "cnn")]
    targets = [f"results/{file}" for file in [*predictions, "evaluation/metrics.parquet"]]
    options = ["--storage-s3-endpoint-url", url, "--default-storage-provider", "s3"]
    options += ["--default-storage-prefix", "s3://clips/run 1", *targets]

    here.run(*options)

    expected = finished.results()
    for file in predictions:
        assert client.get_object(Bucket="clips", Key=f"run 1/results/{file}")["Body"].read() == expected[file], file
    assert not list(here.directory.rglob("*.parquet")), "results are in the store alone"
    assert not list(here.directory.rglob("*.mp4")), "copies of videos are gone with the jobs that needed them"
    assert "Nothing to be done" in here.run(*options)


def test_new_videos_in_an_object_store_are_predicted(finished, store, tmp_path):
    """By a bundle of another run, without a manifest to train on; results are in the working directory."""
    client, url = store
    here = Workflow(PROJECT, tmp_path / "work here")
    here.directory.mkdir()
    bundle = finished.directory / "results/bundles/best/bundle.clipfold"
    here.configure(manifest="", predict={"manifest": "new.csv", "bundle": str(bundle)})
    videos = [path for path, *_ in finished.rows()[1:] if (finished.directory / path).exists()][:3]
    with open(here.directory / "new.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "path"], *([name, f"s3://clips/new/{name}"] for name in videos)])
    for name in videos:
        client.upload_file(str(finished.directory / name), "clips", f"new/{name}")
    here.run("--storage-s3-endpoint-url", url)
    found = read_frame(here.directory / "results/predictions/predictions.parquet").set_index("id")
    with clipfold.load(bundle) as opened:
        expected = opened.predict([finished.directory / name for name in videos], workers=1)
        columns = [f"p_{name}" for name in opened.classes]
    np.testing.assert_allclose(found.loc[videos, columns], expected[columns], rtol=0, atol=1e-6)
    assert not list(here.directory.rglob("*.mp4")), "copies of videos are gone with the job that needed them"
