"""The gate, the marks of what may pass it, the baselines; and that nothing of the test split comes back to training."""

import re
from fractions import Fraction

import numpy as np
import pytest
import yaml
from helpers.harness import CONFIG, ODD_NAMES, PROJECT, Workflow, make_data

from clipfold.demo.encode import Take, decode, encode
from clipfold.demo.near_duplicates import Recording, mirrored
from clipfold.storage.files import read_json, read_table

pytestmark = pytest.mark.workflow

COPIED = "d-real.mp4"
SHORTCUTS = {
    f"shortcut_{name}" for name in ("container", "sound", "brightness", "colour", "mean_frame", "still", "shuffled")
}
LIGHT = {"models": ["logistic_regression"], "shortcuts": True}
TABLES = ("metrics", "comparison", "calibration", "slices")


@pytest.fixture(scope="module")
def leaking(tmp_path_factory) -> Workflow:
    """Videos of which one is there again, mirrored, recompressed and in a group of its own; nothing is trained yet."""
    directory = tmp_path_factory.mktemp("leaking")
    make_data(directory)
    workflow = Workflow(PROJECT, directory)
    header, *rows = workflow.rows()
    original = next(row for row in rows if row[0] in ODD_NAMES and row[1] == "real")
    frames = decode((directory / original[0]).read_bytes())
    copy = mirrored(Recording(frames, 25.0), np.random.default_rng(0))
    take = Take("h264", ".mp4", Fraction(25), len(frames))
    (directory / COPIED).write_bytes(encode(copy.frames, take, bits_per_pixel=0.1))
    workflow.write_rows([header, *rows, [COPIED, "real", "another"]])
    workflow.configure(**LIGHT)
    return workflow


def test_a_leak_stops_the_run_before_training_and_shows_itself(leaking):
    output = leaking.run(check=False)
    assert "the folds leak, so nothing is trained: 1 near duplicates" in output
    assert f"'{COPIED}' (mirrored copy, " in output
    assert "allow_leakage: [near_duplicates]" in output
    page = (leaking.directory / "results/splits/audit.html").read_text()
    assert "The folds leak: nothing is trained" in page
    assert page.count("data:image/jpeg") >= 2
    assert not (leaking.directory / "results/models").exists()


def test_groups_put_together_pass(leaking):
    leaking.configure(**LIGHT, splits=CONFIG["splits"] | {"merge_near_duplicates": True})
    leaking.run("--", "results/splits/splits.parquet")
    groups = dict(
        read_table(leaking.directory / "results/splits/splits.parquet", ["id", "group"]).to_pandas().to_numpy()
    )
    assert groups[COPIED] == min("another", "source-01")
    assert [each for each, group in groups.items() if group == groups[COPIED]] != [COPIED]


def test_an_allowed_leak_marks_every_table_and_baselines_are_never_best(leaking):
    leaking.configure(**LIGHT, allow_leakage=["near_duplicates"])
    leaking.run()
    results = leaking.directory / "results"
    mark = read_json(results / "splits/audit.json")["mark"]
    assert re.fullmatch(r"near duplicates: \d of 15 test videos leak", mark)
    for name in TABLES:
        table = read_table(results / f"evaluation/{name}.parquet")
        assert set(table.column("leakage").to_pylist()) <= {mark}, name
    assert f"Leaks: {mark}." in (results / "evaluation/comparison.tex").read_text()
    rows = read_table(results / "evaluation/comparison.parquet").to_pylist()
    assert [row["shortcut"] for row in rows] == [False] + [True] * 7
    assert {row["model"] for row in rows[1:]} == SHORTCUTS
    best = rows[0]
    (better,) = (row for row in rows if row["model"] == best["best_shortcut"])
    assert best["over_shortcut"] == pytest.approx(best["value"] - better["value"])
    assert best["over_shortcut_low"] <= best["over_shortcut"] <= best["over_shortcut_high"]
    columns = read_json(results / "models/shortcut_container/fold-0/fit.json")["features"]
    assert {column.split(".")[0] for column in columns} == {"container"}


def test_random_folds_run_if_allowed_by_name_and_in_repeats(leaking):
    random = {"scheme": "random", "folds": 2, "repeats": 2, "validation": 0.34}
    light = LIGHT | {"shortcuts": False}
    leaking.configure(**light, splits=random)
    assert "allow_leakage: [random]" in leaking.run("--dry-run", check=False)
    leaking.configure(**light, splits=random, allow_leakage=["random"])
    leaking.run()
    audit = read_json(leaking.directory / "results/splits/audit.json")
    assert audit["mark"].startswith("random folds: ")
    assert (audit["folds"], audit["repeats"]) == (4, 2)
    assert audit["leaking"] > 10
    predicted = read_table(leaking.directory / "results/evaluation/predictions.parquet").to_pandas()
    assert set(predicted.groupby(["model", "repeat"]).id.nunique()) == {15}
    assert (predicted["repeat"] == predicted.fold // 2).all()
    report = (leaking.directory / "results/report/index.html").read_text()
    assert "predicted once in each of 2 repeats" in report
    assert "the scores are optimistic" in report
    assert "a model that saw no video of its group" not in report


def ancestors(inputs: dict[str, set[str]], file: str) -> set[str]:
    """All files that a file is made from, however far back."""
    found, pending = set(), [file]
    while pending:
        for each in inputs.get(pending.pop(), ()):
            if each not in found:
                found.add(each)
                pending.append(each)
    return found


def test_no_test_prediction_reaches_training_or_selection(finished, tmp_path):
    """Whatever is learned, dealt or chosen is made from files in which no prediction for a test part can be.

    The ensemble's members write validation and test rows into one file; that it fits on the former alone is shown in
    tests/unit/training/test_ensemble.py, and the same of thresholds and temperatures in
    tests/unit/evaluation/test_evaluate.py.
    """
    members = ["logistic_regression", "svm", "naive_cnn"]
    models = [*members, "vit_gru", "ensemble"]
    entries = [*members, {"architecture": "vit_gru", "freeze": True}, {"architecture": "ensemble", "members": members}]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"models": entries, "shortcuts": True}))
    full = ["--dry-run", "--forceall", "--logger-clipfold-full"]
    output = finished.run(*full, "--configfile", str(tmp_path / "config.yaml"))
    jobs = re.findall(r"^rule \w+:\n    input: (.+)\n    output: (.+)$", output, re.M)
    inputs = {made: set(given.split(", ")) for given, files in jobs for made in files.split(", ")}
    learned = re.compile(r"results/models/(\w+)/fold-(\d+)/")
    fitted = [file for file in inputs if learned.match(file)]
    assert {learned.match(file)[1] for file in fitted} == {*models, *SHORTCUTS, "shortcut_still_vit_gru"}
    assert len(fitted) == 4 * 2 * (len(models) + len(SHORTCUTS) + 1)
    predicting = re.compile(r"results/(models|evaluation|report)/")
    for file in fitted:
        model, fold = learned.match(file).groups()
        allowed = {f"results/models/{m}/fold-{fold}/predictions.parquet" for m in members if model == "ensemble"}
        made_from = ancestors(inputs, file)
        assert {f for f in made_from if predicting.match(f)} == allowed, file
        assert "results/splits/splits.parquet" in made_from
    for file in ("results/splits/splits.parquet", "results/splits/audit.json", "results/splits/matches.parquet"):
        assert not any(map(predicting.match, ancestors(inputs, file)))
    # The walk does see what comes after training.
    assert {f"results/models/{m}/fold-0/predictions.parquet" for m in models} <= ancestors(
        inputs, "results/evaluation/metrics.parquet"
    )
