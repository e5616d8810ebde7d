"""The whole workflow on small data: complete, careful with odd files, and proof against interruption."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.harness import CONFIG, PROJECT

import clipfold
from clipfold.storage.files import read_json, read_table

pytestmark = pytest.mark.workflow


def test_rows_in_are_rows_predicted_plus_rows_quarantined(finished):
    results = finished.directory / "results"
    manifest = {row[0] for row in finished.rows()[1:]}
    predicted = read_table(results / "evaluation/predictions.parquet").to_pandas()
    quarantined = read_table(results / "splits/quarantine.parquet").to_pandas()
    assert sorted([*predicted.loc[predicted.model == "svm", "id"], *quarantined.id]) == sorted(manifest)
    assert sorted([*predicted.loc[predicted.model == "cnn", "id"], *quarantined.id]) == sorted(manifest)
    assert sorted(quarantined.status) == ["missing", "unreadable", "unreadable"]
    assert quarantined.reason.str.len().min() > 5


def test_no_group_is_in_two_splits_and_each_video_is_tested_once(finished):
    splits = read_table(finished.directory / "results/splits/splits.parquet").to_pandas()
    assert splits.groupby(["fold", "group"]).split.nunique().max() == 1
    assert (splits[splits.split == "test"].groupby("id").size() == 1).all()
    assert read_json(finished.directory / "results/splits/audit.json")["leaks"] == 0


def test_predictions_of_each_fold_are_of_videos_that_the_fit_has_not_seen(finished):
    """A network sees the train split; of a model on features, inner fits predict the train split out of fold."""
    splits = read_table(finished.directory / "results/splits/splits.parquet").to_pandas()
    for path in (finished.directory / "results/models").glob("*/fold-*/predictions.parquet"):
        fold = int(path.parent.name.removeprefix("fold-"))
        predicted = read_table(path).to_pandas()
        unseen = splits.split != "train" if path.parts[-3] == "cnn" else splits.split != ""
        expected = splits[(splits.fold == fold) & unseen]
        assert set(predicted[["id", "split"]].itertuples(index=False)) == set(
            expected[["id", "split"]].itertuples(index=False)
        )
        assert len(predicted) == len(expected)
        assert predicted.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1)


def test_the_report_is_one_page_that_escapes_file_names(finished):
    page = (finished.directory / "results/report/index.html").read_text()
    assert "gone.mp4" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_each_video_is_decoded_once_for_all_models_folds_and_sizes(finished):
    opened = Counter(tuple(line.split("\t")) for line in finished.opened.read_text().splitlines())
    assert {rule for rule, _ in opened} == {"probe", "decode", "bundle"}
    assert {name for rule, name in opened if rule == "bundle"} == {"0.mp4", "1.mkv", "2.mp4"}  # of the golden test
    indices = read_table(sorted((finished.directory / "results/frames").glob("*/index.parquet"))).to_pylist()
    usable = {os.path.basename(row["id"]) for row in indices if row["status"] == "ok"}
    assert len(usable) == 14
    assert {name: count for (rule, name), count in opened.items() if rule == "decode"} == dict.fromkeys(usable, 1)
    # Once each for the digest of its content, the sizes of its parts, and its packets.
    assert all(count == 3 for (rule, name), count in opened.items() if rule == "probe" and name in usable)


def test_every_job_leaves_a_log_with_its_time_and_memory(finished):
    logs = list((finished.directory / "logs").rglob("*.log"))
    assert len(logs) > 15
    assert all("peak memory" in path.read_text() for path in logs)


def test_training_curves_are_complete(finished):
    history = pd.read_csv(finished.directory / "results/models/cnn/fold-0/history.csv")
    assert history.epoch.tolist() == [1, 2]
    assert history.val_loss.notna().all()


@pytest.mark.parametrize(("sent", "seed", "keeps"), [(signal.SIGINT, 1, False), (signal.SIGKILL, 2, True)])
def test_an_interrupted_run_continues_to_the_same_bytes(finished, workflow, sent, seed, keeps):
    """Also where intermediate files are removed on the way."""
    expected = finished.results()
    workflow.configure(keep_intermediate=keeps)
    assert len(expected) == 13
    subprocess.run(["rm", "-rf", workflow.directory / "results", workflow.directory / ".snakemake"], check=True)
    process = subprocess.Popen(
        workflow.command(), env=workflow.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    stop_after = random.Random(seed).randint(1, 14)
    for line in process.stdout:
        done = re.match(r"\[ *(\d+)/", line)
        if done and int(done[1]) >= stop_after:
            break
    time.sleep(random.Random(seed).random())
    os.kill(process.pid, sent)
    process.stdout.close()
    process.wait(timeout=900)
    assert workflow.results() != expected
    if sent == signal.SIGKILL:
        workflow.run("--unlock")
    workflow.run()
    assert workflow.results() == expected
    assert list((workflow.directory / "results").rglob("*.part")) == []
    if not keeps:
        left = {path.name for path in (workflow.directory / "results/frames").rglob("*.npy")}
        assert left == {"clips.npy"}
        assert not list((workflow.directory / "results/augmented").rglob("*.npy"))
        assert workflow.planned() == {}


MISTAKES = [
    ({"modles": ["svm"]}, "modles is not a key of the config: did you mean 'models'?"),
    ({"decode": {"sizes": 64}}, "decode.sizes is not a key of the config: did you mean 'size'?"),
    ({"decode": {"size": 8}}, "decode.size is 8: use 16 to 1024 pixels"),
    ({"models": ["smv"]}, "models: architecture is 'smv': did you mean 'svm'?"),
    ({"models": [{"architecture": "svm", "c": 3.0}]}, "models: svm: c is not a setting of svm: did you mean 'C'?"),
    ({"manifest": "nothing.csv"}, "manifest is 'nothing.csv': no such file, looked in"),
    ({"splits": {"folds": 50}}, "splits.folds is 50: use at most 4, the number of groups in the manifest"),
    ({"policy": {"corrupt": "drop"}}, "policy.corrupt is 'drop': use one of quarantine, fail, use"),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES)
def test_a_wrong_config_is_one_clear_line(finished, tmp_path, wrong, message):
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(CONFIG | wrong))
    output = finished.run("--dry-run", "--configfile", str(tmp_path / "wrong.yaml"), check=False)
    (line,) = [line for line in output.splitlines() if not line.startswith("Using profile")]
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--configfile", "nothing.yaml"], "No such file or directory: 'nothing.yaml': is that the name"),
        (["--configfile", "results/a.json"], "Names of results to make come before --configfile"),
        (["--config", "splits.folds=3"], "--config sets keys at the top level, such as --config seed=1"),
    ],
)
def test_a_wrong_command_is_one_clear_message(finished, arguments, message):
    output = finished.run("--dry-run", *arguments, check=False)
    (first, *more) = [line for line in output.splitlines() if not line.startswith("Using profile")]
    assert first.startswith("error: ")
    assert message in first
    assert len(more) <= 1


def test_a_home_that_cannot_be_written_is_named_and_its_remedy_works(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc/nobody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    output = finished.run("--dry-run", check=False)
    (line,) = [line for line in output.splitlines() if not line.startswith("Using profile")]
    assert "'/proc/nobody': Snakemake keeps its cache there: set XDG_CACHE_HOME to a folder" in line
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert finished.planned() == {}


def test_in_an_ascii_locale_names_are_utf_8_or_the_run_says_how(finished, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    assert finished.planned() == {}
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    assert "error: names of files are ascii in this locale: set PYTHONUTF8=1" in finished.run("-n", check=False)


def test_a_project_in_a_folder_with_braces_says_so(finished, tmp_path):
    (tmp_path / "{b}").mkdir()
    shutil.copytree(finished.project, tmp_path / "{b}/project")
    output = replace(finished, project=tmp_path / "{b}/project").run("--dry-run", check=False)
    assert f"error: {tmp_path}/{{b}}/project: Snakemake takes braces for wildcards" in output
    (tmp_path / "linked").symlink_to(tmp_path / "{b}/project")
    assert replace(finished, project=tmp_path / "linked").planned() == {}


def test_slurm_profile_shows_what_each_model_asks_for(finished):
    command = finished.command("--dry-run", "--forceall", "--logger-clipfold-full")
    command[command.index("--profile") + 1] = str(finished.project / "profiles/slurm")
    command[command.index("--cores")] = "--jobs"
    output = subprocess.run(command, env=finished.environment, capture_output=True, text=True).stdout
    jobs = re.findall(r"^(?:local)?rule (train_\w+):.*?resources: (.*?)$", output, re.M | re.S)
    assert {name for name, _ in jobs} == {"train_svm", "train_cnn"}
    for name, resources in jobs:
        assert f"gpu={int(name == 'train_cnn')}" in resources
        peak = max(
            read_json(path)["peak_mb"]
            for path in (finished.directory / "results/models").glob(f"{name.removeprefix('train_')}/fold-*/fit.json")
        )
        assert 400 + 1.25 * peak <= int(re.search(r"mem_mb=(\d+)", resources)[1]) <= 500 + 1.25 * peak
        assert "slurm_partition=" in resources


def test_the_docs_show_the_graph_of_rules_as_it_is(finished):
    def edges(text):
        names = dict(re.findall(r"(id\d+)\[(\w+)\]", text))
        return {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", text)}

    defaults = ["models=[logistic_regression, svm, feature_ensemble, naive_cnn]", "shortcuts=True"]
    drawn = edges(finished.run("--rulegraph", "mermaid-js", "--config", *defaults))
    assert len(drawn) > 20
    assert edges((PROJECT / "docs/graph.md").read_text()) == drawn


def test_snakemakes_own_report_holds_ours(finished, tmp_path):
    finished.run("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as report:
        pages = [report.read(name) for name in report.namelist() if name.endswith("index.html")]
    assert (finished.directory / "results/report/index.html").read_bytes() in pages


def test_rule_and_api_predict_the_same(workflow):
    workflow.configure(predict={"manifest": "videos.csv"})
    workflow.run()
    rows = read_table(workflow.directory / "results/predictions/predictions.parquet").to_pandas().set_index("id")
    assert sorted(rows.index) == sorted({row[0] for row in workflow.rows()[1:]})
    assert rows[rows.status == "ok"].seen.all()
    bundle = clipfold.load(workflow.directory / "results/bundles/best")
    table = bundle.predict([workflow.directory / path for path in rows.index], workers=2)
    columns = [f"p_{name}" for name in bundle.classes]
    np.testing.assert_allclose(rows[columns].to_numpy(), table[columns].to_numpy(), rtol=0, atol=1e-6)
    assert workflow.planned() == {}


def test_near_duplicates_searched_in_jobs_are_those_found_in_one(workflow):
    rows = workflow.rows()
    (own,) = (row for row in rows if row[0] == "c,d.mp4")
    content = (workflow.directory / own[0]).read_bytes()
    (workflow.directory / "again.mp4").write_bytes(content + b"\0\0\0\x08free")  # other bytes, the same pictures
    workflow.write_rows([*rows, ["again.mp4", *own[1:]]])
    workflow.run("--until", "matches")
    found = workflow.directory / "results/splits/matches.parquet"
    before = found.read_bytes()
    assert ("again.mp4", "c,d.mp4") in {(row["first"], row["second"]) for row in read_table(found).to_pylist()}
    rules = workflow.project / "rules/inputs.smk"
    rules.write_text(rules.read_text().replace("// 4096", "// 4"))
    found.unlink()
    workflow.run("--until", "matches")
    assert len(list(workflow.directory.glob("results/hashes/found/*/frames.parquet"))) > 1
    assert found.read_bytes() == before
