"""Entries of `models:` of several kinds in one run; a frozen encoder sees each clip once, whoever asks for it."""

import re

import pytest
from helpers.harness import CONFIG, PROJECT, Workflow, make_data

from clipfold.models.load import load
from clipfold.storage.files import read_json, read_table

pytestmark = pytest.mark.workflow

SMALL = {"epochs": 1, "frames": 4, "size": 32, "threads": 1}
FROZEN = {**SMALL, "freeze": True}
MODELS = [
    "logistic_regression",
    {"architecture": "variable_ar_cnn", "width": 4, **SMALL},
    {"architecture": "vit_gru", **FROZEN},
    {"architecture": "vit_transformer", **FROZEN},
]
NAMES = [entry if isinstance(entry, str) else entry["architecture"] for entry in MODELS]
SHARDS = 2
PREDICTIONS = "results/evaluation/predictions.parquet"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Workflow:
    """A run of several architectures as far as tests need it. Not to be changed but by adding models."""
    directory = tmp_path_factory.mktemp("models")
    make_data(directory)
    workflow = Workflow(PROJECT, directory)
    workflow.configure(models=MODELS)
    workflow.run(PREDICTIONS, "results/explanations/vit_gru.parquet")
    return workflow


def embedding_jobs(workflow: Workflow) -> list[str]:
    """Times in the benchmarks of the embedding jobs: one file per job."""
    return sorted(str(path) for path in (workflow.directory / "results/benchmarks").glob("embed_*/*/*.tsv"))


def test_every_model_predicts_every_usable_video_in_its_fold(trained):
    predicted = read_table(trained.directory / PREDICTIONS).to_pandas()
    splits = read_table(trained.directory / "results/splits/splits.parquet").to_pandas()
    tested = sorted(splits.loc[splits.split == "test", "id"])
    assert set(predicted.model) == set(NAMES)
    for name in NAMES:
        assert sorted(predicted.loc[predicted.model == name, "id"]) == tested
    for name in NAMES[1:]:
        assert read_json(trained.directory / f"results/models/{name}/fold-0/fit.json")["parameters"] > 0


def test_one_job_embeds_all_shards_once_for_all_folds_and_models(trained):
    assert len(embedding_jobs(trained)) == len(("frames", "augmented"))
    logs = [path.read_text() for path in (trained.directory / "logs").glob("embed_*/*/*.log")]
    assert len(logs) == len(embedding_jobs(trained))
    assert sum(text.count("clips by vit_micro") for text in logs) == SHARDS * len(logs)


def test_a_second_model_on_the_same_encoder_skips_it(trained):
    second = {"architecture": "vit_gru", "name": "vit_gru_wide", "hidden": 160, **FROZEN}
    trained.configure(models=[*MODELS, second])
    assert trained.planned(PREDICTIONS) == {"train_vit_gru_wide": CONFIG["splits"]["folds"], "evaluate": 1}


def test_another_encoder_is_not_taken_for_the_same(trained):
    second = {"architecture": "vit_gru", "name": "vit_gru_tiny", "encoder": "vit_tiny", **FROZEN}
    trained.configure(models=[*MODELS, second])
    planned = trained.planned()
    assert sum(count for rule, count in planned.items() if rule.startswith("embed_vit_tiny")) == 2


def test_a_model_fitted_on_all_data_needs_no_fit_again_and_no_prediction(trained):
    ensemble = {"architecture": "ensemble", "members": ["logistic_regression", "vit_gru"]}
    trained.configure(models=[*MODELS, ensemble], bundle={"models": ["ensemble"], "final": True})
    target = "results/models/ensemble/final/fit.json"
    folds = CONFIG["splits"]["folds"]
    finals = {"final_logistic_regression": 1, "final_vit_gru": 1, "final_ensemble": 1}
    assert trained.planned(target) == {"train_ensemble": folds, **finals}
    trained.run(target)
    assert trained.planned(target) == {}
    videos = {*read_table(trained.directory / "results/splits/splits.parquet").column("id").to_pylist()}
    models = trained.directory / "results/models"
    for name in ("logistic_regression", "vit_gru", "ensemble"):
        record = read_json(models / name / "final/fit.json")
        assert (record["fold"], record["train_videos"]) == (None, len(videos))
        assert (models / name / "final/history.csv").exists()
    assert read_json(models / "vit_gru/final/fit.json")["epochs"] == SMALL["epochs"]
    assert load(models / "ensemble/final").reads == {"features", "clips"}
    shown = trained.run("--dry-run", "--forceall", "--logger-clipfold-full", target)
    inputs = dict(re.findall(r"^rule (final_\w+):\s+input: (.*?)$", shown, re.M))
    assert inputs.keys() == finals.keys()
    assert "predictions" not in str(inputs)


def test_a_lost_array_is_embedded_again_and_no_other(trained):
    """The last test: it leaves what follows from the array out of date."""
    lost, other = sorted(trained.directory.glob("results/embedded/*/frames/*.npy"))
    before = other.stat().st_mtime_ns
    content = lost.read_bytes()
    lost.write_bytes(content[:-1])  # truncated, as after a full disk
    said = trained.run(f"results/embedded/{lost.parts[-3]}/frames/0-of-1.list.json")
    assert "is truncated" in said
    assert lost.read_bytes() == content
    assert other.stat().st_mtime_ns == before
