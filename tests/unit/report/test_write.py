"""Write the report of a small made-up run: its text is right, safe and self-contained."""

import html
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.made_up_run import NASTY, write_run

from clipfold.report import dataset, scores, videos
from clipfold.report.task import ReportTask
from clipfold.report.usage import stages
from clipfold.report.write import write_report
from clipfold.storage.files import read_table, write_json, write_table
from clipfold.video.probe import SCHEMA as PROBED


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> ReportTask:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run) -> str:
    write_report(run)
    return run.output.read_text()


def text_of(page: str) -> str:
    """Extract the text that a reader sees: no tags, single spaces."""
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    body = re.sub(r"</(td|th|dt|dd|p|li)>", " ", body)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", body)))


@pytest.fixture
def text_with(run, tmp_path):
    """Write the report with changes to the audit, and to other inputs; returns its text."""

    def write(audit, **changes):
        write_json(tmp_path / "audit.json", json.loads(run.audit.read_text()) | audit)
        output = tmp_path / "index.html"
        write_report(replace(run, audit=tmp_path / "audit.json", output=output, **changes))
        return text_of(output.read_text())

    return write


class _Checker(HTMLParser):
    """Collect ids and addresses, and tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[key] for key in ("src", "href", "xlink:href", "action") if key in found]
        if tag not in ("meta", "link", "br", "img", "wbr", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_page_is_well_formed_and_self_contained(page):
    checker = _Checker()
    checker.feed(page)
    assert not checker.wrong
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert all(address.startswith(("#", "data:")) for address in checker.addresses)
    assert {a[1:] for a in checker.addresses if a.startswith("#")} <= set(checker.ids)
    assert not re.findall(r"@import|url\((?!#)", page)


def test_outside_names_are_escaped(page):
    assert NASTY not in page
    assert "<script>alert" not in page
    assert NASTY in text_of(page)


def test_no_folder_of_this_machine_is_shown(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/anna")
    weights = {"weights": "/home/anna/weights/vit.safetensors", "encoder": str(tmp_path / "vit.safetensors")}
    config = {**run.config, "manifest": "/data/anna/videos.csv", "models": [weights]}
    write_report(replace(run, output=tmp_path / "page.html", config=config))
    page = (tmp_path / "page.html").read_text()
    assert "anna" not in page
    assert str(tmp_path) not in page
    assert "videos.csv" in page


def test_first_screen(page, run):
    best = read_table(run.evaluation["comparison"]).to_pylist()[0]
    text = text_of(page)
    assert f"{best['model']} leads a tie: ROC-AUC within folds {best['value']:.3f}" in text
    assert "Tied with it: svm, logistic_regression." in text
    assert f"interval {best['low']:.3f} to {best['high']:.3f}" in text
    assert "120 rows in the manifest = 118 predicted by every model + 2 quarantined. No video is missing." in text
    assert "leaks none found by these checks" in text


def test_a_missing_video_is_shown_in_red(run, tmp_path):
    metadata = read_table(run.metadata).to_pylist()
    write_table(tmp_path / "metadata.parquet", [*metadata, metadata[0] | {"id": "lost.mp4"}], PROBED)
    write_report(replace(run, metadata=[tmp_path / "metadata.parquet"], output=tmp_path / "index.html"))
    page = (tmp_path / "index.html").read_text()
    assert '<p class="account bad"' in page
    assert "121 rows in the manifest ≠ 118 predicted by every model + 2 quarantined." in text_of(page)
    assert "Missing: lost.mp4." in text_of(page)


def test_leaks_and_conflicts_are_named(text_with):
    leak = {"fold": 1, "value": "recording 3", "splits": ["test", "train"]}
    same = {"duplicates": [["a.mp4", "b.mp4"]], "conflicting_labels": [["a.mp4", "b.mp4"]]}
    text = text_with({"groups_across_splits": [leak], "leaks": 1} | same)
    assert "1 leak found." in text
    assert "the scores are optimistic" in text
    assert "recording 3 test, train" in text
    assert "Identical files have different labels" in text


def test_shortcuts_and_allowed_leaks_are_on_the_first_screen(run, tmp_path, text_with):
    rows = read_table(run.evaluation["comparison"]).to_pylist()
    beaten = {"shortcut": False, "best_shortcut": "shortcut_container", "over_shortcut": 0.25}
    beaten |= {"over_shortcut_low": 0.125, "over_shortcut_high": 0.375}
    baseline = {"shortcut": True, "best_shortcut": "", "tied": False} | dict.fromkeys(
        ("over_shortcut", "over_shortcut_low", "over_shortcut_high"), float("nan")
    )
    rows = [row | (beaten if i < 3 else baseline) for i, row in enumerate(rows)]
    write_table(tmp_path / "comparison.parquet", pa.Table.from_pylist(rows))
    audit = {"mark": "random folds: 61 of 118 test videos leak", "leaks": 61}
    text = text_with(audit, evaluation=run.evaluation | {"comparison": tmp_path / "comparison.parquet"})
    assert "above the shortcut shortcut_container +0.250 [+0.125, +0.375]" in text
    assert "Leaks were allowed: random folds: 61 of 118 test videos leak." in text
    assert "tied with the best 2 of 2 other models" in text


def test_an_external_test_has_its_section_and_a_link_to_its_page(run, page, text_with, tmp_path):
    assert 'id="external"' not in page
    external = {
        "bundle": "<b>est",
        "classes": ["calm", "<fight>"],
        "threshold": None,
        "videos": 31,
        "groups": 7,
        "grouped": False,
        "other": {"<odd>": 2},
        "seen": 0,
        "metrics": [
            {
                "metric": "roc_auc",
                "new": {"value": 0.875, "low": 0.75, "high": 0.9375},
                "folds": {"value": 0.925, "low": float("nan"), "high": float("nan")},
            }
        ],
        "confusion": [[10, 5], [4, 12]],
        "page": None,
    }
    write_json(tmp_path / "external.json", external)
    text = text_with({}, external=tmp_path / "external.json")
    assert "<b>est on 31 labelled videos of 7 groups that it never saw; all predictions." in text
    assert "ROC-AUC 0.875 [0.750, 0.938] 0.925 " in text
    assert "2 videos with labels that the model does not know" in text
    shown = (tmp_path / "index.html").read_text()
    assert 'href="../predictions/index.html"' in shown
    assert '<a href="#external">' in shown
    write_json(tmp_path / "external.json", None)  # labels were given, but of no video that could be predicted
    text_with({}, external=tmp_path / "external.json")
    assert 'id="external"' not in (tmp_path / "index.html").read_text()


def test_a_shortcut_that_no_model_beats_is_the_first_sentence(run, tmp_path, text_with):
    rows = read_table(run.evaluation["comparison"]).to_pylist()
    beaten = {"best_shortcut": "shortcut_still", "over_shortcut": 0.01}
    beaten |= {"over_shortcut_low": -0.1, "over_shortcut_high": 0.12, "scored": 37, "scored_before": 2}
    rows = [row | (beaten if i < 3 else {"shortcut": True}) for i, row in enumerate(rows)]
    write_table(tmp_path / "comparison.parquet", pa.Table.from_pylist(rows))
    text = text_with({}, evaluation=run.evaluation | {"comparison": tmp_path / "comparison.parquet"})
    first = f"The best, {rows[0]['model']}, reaches ROC-AUC within folds {rows[0]['value']:.3f}."
    assert f"No model is shown to beat shortcut_still, which sees only a single frame {first}" in text
    assert "uses more of the videos than a single frame: shortcut_still, which sees nothing else" in text
    assert "tells these classes apart" not in text
    assert "Withheld: naive_cnn, svm, logistic_regression, which are not shown to be better than chance and" in text
    assert "Evidence for the network" not in text
    assert "37 models have been scored on these test videos so far" in text
    assert "exactly these test videos: 37, and on others 2." in text


def test_what_may_be_claimed_is_on_the_first_screen(page, run):
    rows = read_table(run.evaluation["comparison"]).to_pylist()
    text, best = text_of(page), rows[0]
    assert f"best of {len(rows)}: {best['corrected']:.3f}" in text
    assert f"pooled over folds: {best['pooled']:.3f}" in text
    assert f"{best['model']} tells these classes apart in groups that it was not trained on" in text
    assert "May not be claimed" in text
    assert "(fight 50%, no_fight 50%)" in text
    assert "Was not tested" in text
    unshown = ", ".join(row["model"] for row in rows if not row["low"] > 0.5)
    assert (f"Withheld: {unshown}, which" in text) == bool(unshown)


def test_what_models_looked_at(page, run):
    text = text_of(page)
    assert "✗ no_fight 0.90 is fight" in text
    assert "motion.f0 +0.500 ± 0.100" in text
    assert "3 further features are less important." in text
    assert page.count("Evidence in ") == 10  # slowfast is withheld
    assert "adds up to 100 %, like shuffled 0.25" in text
    assert "accounts for 56 % of +4.000" in text


def test_near_duplicates_and_proposed_groups_are_named(text_with):
    pair = {"first": "a.mp4", "second": "<b>.mp4", "change": "mirrored copy", "score": 0.987, "folds": [0, 2]}
    pair |= {"groups": ["x", "y"], "labels": ["fight", "no_fight"]}
    near = {"pairs": 12, "across_groups": 3, "other_labels": 1, "across_splits": [pair]}
    groups = {"source": "proposed", "count": 9, "joined": 40, "by_name": 30, "by_picture": 15, "pattern": "camera-N"}
    groups |= {"pairs_within": 0.75, "by_chance": 0.125}
    text = text_with({"near_duplicates": near, "groups": groups, "leaks": 1})
    assert "12 pairs of near duplicates were found" in text
    assert "a.mp4 <b>.mp4 mirrored copy 0.987 fight, no_fight x, y 0, 2" in text
    assert "Groups were proposed, because the manifest has none: 40 videos" in text
    assert "75 % share one name pattern" in text
    shown = text[text.index("Skip to the comparison") :]  # after the title of the window
    assert shown.index("Groups were guessed, so the scores on this page may be too high.") < shown.index("ROC-AUC")
    assert "What it takes: a column group that names for each video the recording" in text


def test_groups_from_the_manifest_are_not_called_guessed(page):
    assert "guessed" not in text_of(page)


def test_same_input_gives_same_bytes(page, run, tmp_path):
    write_report(replace(run, output=tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_text() == page


@pytest.mark.slow
def test_one_model_several_classes_and_nothing_measured(tmp_path):
    task = write_run(tmp_path, names=("run", "walk", "$jump$ <i>"), models=1)
    shutil.rmtree(task.benchmarks)
    write_report(task)
    page = task.output.read_text()
    text = text_of(page)
    assert "logistic_regression reaches Balanced accuracy" in text
    assert "It is the only model in this run." in text
    assert "No model in this run was trained over several epochs." in text
    assert "Nothing was measured." in text
    assert "<i>" not in page.replace('<i style="', "").replace("</i>", "")


def test_stages_are_added_up(run):
    rows = {row["stage"]: row for row in stages(run.benchmarks, {"decode": 36.0})}
    assert list(rows) == ["decode", "splits"]
    decode = {"stage": "decode", "jobs": 2, "seconds": 100.5, "cpu_seconds": 180.0, "memory_mb": 300.0}
    assert rows["decode"] == decode | {"energy_wh": pytest.approx((180 * 10 + 36 * 300) / 3600)}
    assert rows["splits"]["jobs"] == 1
    assert np.isnan(rows["splits"]["memory_mb"])


def test_accounting_requires_every_model_and_rejects_unknown_ids():
    predictions = pd.DataFrame({"id": ["a", "b", "a"], "model": ["m", "m", "n"]})
    found = dataset.account(pd.Series(["a", "b", "c", "d"]), predictions, pd.Series(["c", "x"]), pd.Series(["d"]))
    assert not found["adds_up"]
    assert found["lost"] == ["b"]  # model n did not predict it
    assert found["surplus"] == ["x"]


def test_videos_without_a_label_are_accounted_for_by_their_answers():
    predictions = pd.DataFrame({"id": ["a", "a"], "model": ["m", "n"]})
    answers = pd.DataFrame({"id": ["u", "u", "v"], "model": ["m", "n", "m"]})
    rows = pd.Series(["a", "u", "v"])
    found = dataset.account(rows, predictions, pd.Series(dtype=str), pd.Series(dtype=str), answers)
    assert (found["unlabelled"], found["lost"], found["adds_up"]) == (1, ["v"], False)
    found = dataset.account(rows[:2], predictions, pd.Series(dtype=str), pd.Series(dtype=str), answers[:2])
    assert (found["unlabelled"], found["lost"], found["surplus"], found["adds_up"]) == (1, [], [], True)


def test_answers_are_summarised_least_agreed_first():
    answers = pd.DataFrame(
        {"id": [*"uvw"] * 2, "model": [*"mmmnnn"], "predicted": [*"xxyyyy"], "spread": [0.1, 0.3, 0.2] * 2}
    )
    answers = answers.assign(p_x=0.4, p_y=0.6, folds=3)
    found = scores.unlabelled(answers, ["n", "m"], most=2)
    assert found["counts"] == [{"model": "n", "classes": {"y": 3}}, {"model": "m", "classes": {"x": 2, "y": 1}}]
    assert [(row["id"], row["probability"]) for row in found["rows"]] == [("v", 0.6), ("w", 0.6)]
    assert scores.unlabelled(answers.head(0), ["n"]) == {"videos": 0, "counts": [], "rows": []}


def test_the_most_frequent_confusions_come_first():
    rows = [("a", "b")] * 2 + [("a", "c")] + [("c", "b")] * 3 + [("b", "b")] * 4
    table = pd.DataFrame(rows, columns=["label", "predicted"]).assign(model="m")
    found = scores.confusions(table.assign(wrong=table.label != table.predicted), ["m"], most=2)
    assert [(row["label"], row["predicted"], row["videos"]) for row in found] == [("c", "b", 3), ("a", "b", 2)]
    assert [row["share"] for row in found] == pytest.approx([1, 2 / 3])


@pytest.mark.slow
def test_many_classes_fold_and_the_page_stays_small(tmp_path):
    task = write_run(tmp_path, names=tuple(f"class {i:03}" for i in range(120)), models=1, count=360)
    write_report(task)
    page = task.output.read_text()
    assert len(page) < 2_000_000
    assert page.count('<details class="folded">') == 2
    text = text_of(page)
    assert "120 classes · 358 videos" in text
    assert "class 000 / class 001" not in text
    assert "The colour is the share of the row." in text
    assert "Top-5 accuracy" in text
    assert len(re.findall('<th scope="col" class="n">class ', page)) == 0


def test_the_effect_of_several_views_of_test_videos_is_shown(page, run):
    folds = len(next(iter(run.records.values())))
    mean = 0.72 + (folds - 1) / 200
    assert f"accuracy 0.700 to {mean:.3f}, log-loss 0.600 to 0.580" in text_of(page)


def test_a_long_table_lists_the_videos_that_models_get_most_wrong(monkeypatch):
    own = np.round(np.random.default_rng(0).random(30), 3)
    rows = [
        {"model": model, "id": f"{i:02}", "label": "a", "group": "g", "fold": 0, "repeat": 0, "p_a": p, "p_b": 1 - p}
        for model, shift in (("one", 0), ("two", 1))
        for i, p in enumerate(np.roll(own, shift))
    ]
    predictions = videos.mean_over_repeats(pd.DataFrame(rows), ["a", "b"])
    whole = videos.table(predictions, ["one", "two"], ["a", "b"])
    monkeypatch.setattr(videos, "MOST_LISTED", 10)
    listed = videos.table(predictions, ["one", "two"], ["a", "b"])
    sums = np.sum(whole["own"], axis=0)
    assert (listed["all"], len(listed["ids"])) == (30, 10)
    assert listed["ids"] == sorted(np.array(whole["ids"])[np.argsort(sums, kind="stable")[:10]].tolist())
    assert listed["own"] == [[values[whole["ids"].index(i)] for i in listed["ids"]] for values in whole["own"]]
