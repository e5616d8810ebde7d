"""A table from CSV to report, bundle and prediction: names that trip tools up, gaps, categories, another row added."""

import csv
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.harness import PROJECT, Workflow

import clipfold

EYE, EVIL = 'eye <script>alert("eye")</script>', "<img src=x onerror=alert(1)>"
CONFIG = {
    "modality": "table",
    "manifest": "people.csv",
    "columns": {"label": "class"},
    "shard_size": 64,
    "splits": {"folds": 2, "validation": 0.34},
    "models": ["logistic_regression"],
    "table": {"ignore": ["note"]},
    "predict": {"manifest": "new.csv"},
}


def people(rows=80):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"height {cm}": rng.normal(170, 10, rows).round(3), EYE: rng.choice(["=1+1", EVIL, ""], rows)})
    table["born"] = [f"{1950 + i % 50}-01-31" for i in range(rows)]
    table["note"] = [f"free text {i}" for i in range(rows)]
    table["class"] = np.where((table[EYE] == EVIL) ^ (rng.random(rows) < 0.1), "tall & <b>", "short")
    table.loc[3:4, "height {cm}"] = np.nan
    table.loc[4, [EYE, "born"]] = ""
    return table


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    table = people()
    table.to_csv(folder / "people.csv", index=False)
    new = table.drop(columns=["class", "note"])[:4].copy()
    new.loc[1, EYE] = "purple"
    new["height {cm}"] = new["height {cm}"].astype(object)
    new.loc[2, "height {cm}"] = "tall"
    new.to_csv(folder / "new.csv", index=False)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    workflow = Workflow(PROJECT, folder)
    workflow.run()
    return workflow


def test_rows_in_are_rows_predicted_plus_rows_quarantined(finished):
    results = finished.directory / "results"
    predicted = pd.read_parquet(results / "evaluation/predictions.parquet")
    gone = pd.read_parquet(results / "splits/quarantine.parquet")
    assert (len(predicted), gone[["id", "status"]].to_numpy().tolist()) == (79, [["row 6", "empty"]])
    assert (predicted.label == predicted.filter(like="p_").idxmax(axis=1).str[2:]).mean() > 0.8


def test_the_page_speaks_of_rows_and_escapes_columns_and_categories(finished):
    page = (finished.directory / "results/report/index.html").read_text()
    assert "<script>alert" not in page
    assert "onerror=alert(1)>" not in page
    assert "eye &lt;script&gt;" in page
    assert "79 rows" in page
    assert "Frames per second" not in page


def test_new_rows_are_predicted_or_typed_by_rule_and_command(finished):
    columns = ["id", "status", "reason"]
    rows = pd.read_parquet(finished.directory / "results/predictions/predictions.parquet")
    assert rows[columns].to_numpy().tolist() == [
        ["row 2", "ok", ""],
        ["row 3", "ok", f"not in the training data: {EYE} = 'purple'"],
        ["row 4", "unreadable", "height {cm} is 'tall': it must be a number"],
        ["row 5", "ok", ""],
    ]
    assert rows.seen.tolist() == [True, False, False, True]
    bundle = finished.directory / "results/bundles/best/bundle.clipfold"

    def command(*arguments):
        call = [sys.executable, "-m", "clipfold.cli", "predict", str(bundle), *arguments]
        return subprocess.run(call, cwd=finished.directory, env=finished.environment, capture_output=True, text=True)

    done = command("new.csv", "--output", "by_command.parquet")
    assert (done.returncode, "3 of 4 rows predicted, 1 unreadable" in done.stderr) == (3, True), done.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(finished.directory / "by_command.parquet"), rows)
    assert "leave it out" in command("new.csv", "--window", "4s").stderr
    with open(finished.directory / "other.csv", "w", newline="") as file:
        csv.writer(file).writerows([["born"], ["1950-01-31"]])
    assert "other.csv has no column 'height {cm}'" in command("other.csv").stderr


def test_python_predicts_the_same_and_the_golden_test_passes(finished):
    rows = pd.read_parquet(finished.directory / "results/predictions/predictions.parquet")
    new = pd.read_csv(finished.directory / "new.csv", keep_default_na=False)
    with clipfold.load(finished.directory / "results/bundles/best") as bundle:
        assert bundle.golden_problems() == []
        found = bundle.predict(new)
        with pytest.raises(ValueError, match="it predicts the rows of a table"):
            bundle.timeline("long.mp4")
        with pytest.raises(ValueError, match="add born"):
            bundle.predict(new.drop(columns="born"))
    compared = (table.drop(columns=["id", "path"]).astype({"label": object}) for table in (found, rows))
    pd.testing.assert_frame_equal(*compared)
    call = [sys.executable, "-m", "clipfold.cli", "drift", "results/bundles/best"]
    predictions = "results/predictions/predictions.parquet"
    done = subprocess.run([*call, predictions], cwd=finished.directory, env=finished.environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    page = (finished.directory / "drift.html").read_text()
    assert "<script>alert" not in page
    assert "new rows" in page


def test_an_added_row_reads_its_shard_alone(finished):
    with open(finished.directory / "people.csv", "a", newline="") as file:
        csv.writer(file).writerow(["171.5", EVIL, "1980-01-31", "more", "short"])
    assert re.search(r"^table +1$", finished.run("-n"), re.M)
