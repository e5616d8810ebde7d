"""A run without a terminal prints few short lines, and the cause of a failure once."""

import re
import shutil

import pytest
from helpers.harness import CONFIG

pytestmark = pytest.mark.workflow


@pytest.fixture
def retraining(workflow):
    """A finished run whose models are gone."""
    shutil.rmtree(workflow.directory / "results/models")
    return workflow


def shown(output):
    lines = output.splitlines()
    assert max(map(len, lines)) <= 200
    return [line for line in lines if not line.startswith("Using profile")]


def test_a_run_prints_a_line_per_job_and_ends_with_its_report(retraining):
    jobs = sum(retraining.planned().values()) - 1  # `all` is not one
    lines = shown(retraining.run())
    assert len([line for line in lines if re.match(r"\[ *\d+/\d+\] \w+", line)]) == jobs
    assert f"{jobs} jobs finished in " in lines[-2]
    assert len(lines) <= jobs + 6
    assert lines[-1] == f"Report: {retraining.directory / 'results/report/index.html'}"
    lines = shown(retraining.run())
    assert lines[-1] == f"Report: {retraining.directory / 'results/report/index.html'}"
    assert len(lines) == 2


def test_a_failed_job_is_explained_once_at_the_end(retraining):
    broken = {"architecture": "naive_cnn", "name": "cnn", "size": 32, "width": 4, "epochs": 2, "learning_rate": 1e20}
    retraining.configure(models=["svm", broken], splits=CONFIG["splits"])
    lines = shown(retraining.run("--keep-going", check=False))
    assert "2 failed" in lines[-1]
    for fold, block in enumerate(sorted([lines[-7:-4], lines[-4:-1]])):
        assert block[0] == f"FAILED  train_cnn (model cnn, fold {fold})"
        assert block[1].strip().endswith("use a lower learning_rate")
        assert block[2].strip() == f"log: {retraining.directory / f'logs/train_cnn/fold-{fold}.log'}"
    assert sum("use a lower learning_rate" in line for line in lines) == 2
    assert not any("Traceback" in line or "snakemake" in line.lower() for line in lines)


def test_an_unknown_target_is_one_short_message(workflow):
    lines = shown(workflow.run("--dry-run", "--", "nothing", check=False))
    assert "No rule to produce nothing" in lines[-1]
    assert len(lines) <= 2


def test_a_dry_run_says_why_and_snakemakes_own_output_is_available(retraining):
    lines = shown(retraining.run("--dry-run"))
    assert "train_cnn: missing output files" in lines
    full = retraining.run("--dry-run", "--logger-clipfold-full")
    assert re.search(r"^rule train_cnn:\n    input: .+\n    output: ", full, re.M)


def test_a_dry_run_says_how_many_videos_are_missing(workflow):
    said = shown(workflow.run("--dry-run"))
    assert "warning: 1 of 17 videos are not there, the first is gone.mp4" in said
    (workflow.directory / workflow.rows()[1][0]).unlink()
    assert any(line.startswith("warning: 2 of 17 videos are not there") for line in shown(workflow.run("--dry-run")))
