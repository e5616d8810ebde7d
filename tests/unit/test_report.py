"""The report of a small made-up run: what it says, that it is safe and self-contained, and that a browser shows it."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_evaluate import OUTPUTS, write_facts

from clipfold.evaluation import dataset
from clipfold.evaluation.evaluate import evaluate
from clipfold.evaluation.report import stages, write_report
from clipfold.splits import QUARANTINE, SCHEMA
from clipfold.store import read_table, write_json, write_table
from clipfold.video.probe import SCHEMA as PROBED

NASTY = '<script>alert(1)</script> & "q".mp4'
CHROMIUM = shutil.which("chromium")
TSV = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write_run(folder: Path, names: tuple[str, ...] = ("fight", "no_fight"), models: int = 4) -> dict[str, Any]:
    """Make up everything that a report is made from; returns the arguments of `write_report`."""
    random = np.random.default_rng(0)
    count, folds = 120, 4
    ids = [f"clips/{i:03}.mp4" for i in range(count - 1)] + [NASTY]
    labels = [names[i % len(names)] for i in range(count)]
    used = range(count - 2)
    group = [f"recording {i // 5}" for i in range(count)]
    roles = ("test", "val", "train", "train")
    probed = [
        {"id": ids[i], "label": labels[i], "group": group[i], "status": "ok", "frames": 60 + i, "duration": 2 + i / 30}
        | {"fps": 30.0, "vfr": i % 9 == 0, "width": 640, "height": 360, "codec": "h264", "has_audio": i % 2 == 0}
        for i in range(count)
    ]
    known = write_facts(folder, probed)
    splits = [
        {
            "id": ids[i],
            "label": labels[i],
            "group": group[i],
            "repeat": 0,
            "fold": f,
            "role": roles[(i // 5 + f) % folds],
        }
        for f in range(folds)
        for i in used
    ]
    write_table(folder / "splits.parquet", splits, SCHEMA)
    rejected = [
        dict.fromkeys(QUARANTINE.names, "") | {"id": ids[i], "label": labels[i], "stage": stage, "status": status}
        for i, stage, status in ((count - 1, "probe", "truncated"), (count - 2, "decode", "corrupt"))
    ]
    write_table(folder / "quarantine.parquet", rejected, QUARANTINE)
    audit = {key: [] for key in ("groups_across_roles", "copies_across_roles", "copies", "conflicting_labels")}
    write_json(folder / "audit.json", audit | {"leaks": 0, "manifest": count, "usable": len(used), "quarantined": 2})

    architectures = ("logistic_regression", "svm", "naive_cnn", "slowfast")
    entries = [architectures[i] if i < 4 else f"{architectures[i % 4]}_{i}" for i in range(models)]
    files: dict[str, dict[str, list[Path]]] = {kind: {} for kind in ("predictions", "histories", "records")}
    order = sorted(names)
    for number, model in enumerate(entries):
        network = number % 4 > 1
        skill = 0.05 + 0.3 * ((number + 1) % 4) / 4
        noise = random.dirichlet(np.ones(len(names)), count)
        values = skill * np.eye(len(names))[[order.index(label) for label in labels]] + (1 - skill) * noise
        table = pd.DataFrame(values, columns=[f"p_{name}" for name in order]).assign(id=ids, label=labels)
        for fold in range(folds):
            place = folder / model / f"fold-{fold}"
            role = {row["id"]: row["role"] for row in splits if row["fold"] == fold}
            part = table.assign(role=table.id.map(role)).query("role == 'test' or role == 'val'")
            write_table(place / "predictions.parquet", pa.Table.from_pandas(part, preserve_index=False))
            epochs = np.arange(1, 25 if network else 2)
            losses = {"train_loss": 0.9 * 0.9**epochs + 0.1, "val_loss": 0.7 - 0.03 * epochs + 0.0015 * epochs**2}
            rough = random.normal(0, 0.02, len(epochs))
            history = pd.DataFrame({"epoch": epochs} | {name: loss + rough for name, loss in losses.items()})
            history.to_csv(place / "history.csv", index=False)
            settings = {"C": 1.0, "features": ["motion", "noise"]}
            facts = {"parameters": 61_234, "best_epoch": 10 + fold, "device": "cpu"} if network else {"features": ["a"]}
            settings = {"epochs": 30, "learning_rate": 1e-3} if network else settings
            write_json(place / "fit.json", {"fold": fold, "settings": settings, "seconds": 12.3 + fold, **facts})
            for kind, name in zip(files, ("predictions.parquet", "history.csv", "fit.json"), strict=True):
                files[kind].setdefault(model, []).append(place / name)
    benchmarks = folder / "benchmarks"
    (benchmarks / "decode").mkdir(parents=True)
    (benchmarks / "decode" / "0-of-2.tsv").write_text(TSV + "60.5\t0:01:00\t250.5\t1\t1\t1\t0\t0\t99\t110.0\n")
    (benchmarks / "decode" / "1-of-2.tsv").write_text(TSV + "40.0\t0:00:40\t300.0\t1\t1\t1\t0\t0\t99\t70.0\n")
    (benchmarks / "splits.tsv").write_text(TSV + "0.4\t0:00:00\t-\t-\t-\t-\tNA\t-\t0.0\tNA\n")
    outputs = {name: folder / "out" / name for name in OUTPUTS}
    predictions, splits, quarantine = files["predictions"], folder / "splits.parquet", folder / "quarantine.parquet"
    evaluate(predictions, splits, quarantine, **known, extras={}, outputs=outputs, seed=0)
    return {
        "evaluation": outputs,
        "metadata": [folder / "metadata.parquet"],
        "splits": folder / "splits.parquet",
        "quarantine": folder / "quarantine.parquet",
        "audit": folder / "audit.json",
        "histories": files["histories"],
        "records": files["records"],
        "benchmarks": benchmarks,
        "output": folder / "index.html",
        "seed": 0,
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> dict[str, Any]:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run) -> str:
    write_report(**run)
    return run["output"].read_text()


def text_of(page: str) -> str:
    """What a reader sees: no tags, single spaces."""
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    body = re.sub(r"</(td|th|dt|dd|p|li)>", " ", body)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", body)))


class _Checker(HTMLParser):
    """Collects ids and addresses, and notes tags that are not closed in order."""

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
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_page_is_well_formed_and_asks_the_network_for_nothing(page):
    checker = _Checker()
    checker.feed(page)
    assert not checker.wrong
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert all(address.startswith("#") or address == "data:," for address in checker.addresses)
    assert {a[1:] for a in checker.addresses if a.startswith("#")} <= set(checker.ids)
    assert not re.findall(r"@import|url\((?!#)", page)


def test_names_from_outside_are_text(page):
    assert NASTY not in page
    assert "<script>alert" not in page
    assert NASTY in text_of(page)


def test_first_screen(page, run):
    best = read_table(run["evaluation"]["comparison"]).to_pylist()[0]
    text = text_of(page)
    assert f"{best['model']} leads a tie: ROC-AUC {best['value']:.3f}" in text
    assert "Tied with it: svm, logistic_regression." in text
    assert f"interval {best['low']:.3f} to {best['high']:.3f}" in text
    assert "120 rows in the manifest = 118 predicted by every model + 2 quarantined. Nothing was lost." in text
    assert "leaks found none" in text


def test_a_lost_video_is_shown_in_red(run, tmp_path):
    metadata = read_table(run["metadata"]).to_pylist()
    write_table(tmp_path / "metadata.parquet", [*metadata, metadata[0] | {"id": "lost.mp4"}], PROBED)
    write_report(**run | {"metadata": [tmp_path / "metadata.parquet"], "output": tmp_path / "index.html"})
    page = (tmp_path / "index.html").read_text()
    assert '<p class="account bad"' in page
    assert "121 rows in the manifest ≠ 118 predicted by every model + 2 quarantined." in text_of(page)
    assert "Lost: lost.mp4." in text_of(page)


def test_leaks_and_conflicts_are_named(run, tmp_path):
    leak = {"fold": 1, "value": "recording 3", "roles": ["test", "train"]}
    audit = json.loads(run["audit"].read_text()) | {"groups_across_roles": [leak], "leaks": 1}
    audit |= {"copies": [["a.mp4", "b.mp4"]], "conflicting_labels": [["a.mp4", "b.mp4"]]}
    write_json(tmp_path / "audit.json", audit)
    write_report(**run | {"audit": tmp_path / "audit.json", "output": tmp_path / "index.html"})
    text = text_of((tmp_path / "index.html").read_text())
    assert "1 leak found." in text
    assert "recording 3 test, train" in text
    assert "Identical files carry different labels" in text


def test_same_input_gives_same_bytes(page, run, tmp_path):
    write_report(**run | {"output": tmp_path / "again.html"})
    assert (tmp_path / "again.html").read_text() == page


def test_one_model_several_classes_and_nothing_measured(tmp_path):
    arguments = write_run(tmp_path, names=("run", "walk", "$jump$ <i>"), models=1)
    shutil.rmtree(arguments["benchmarks"])
    write_report(**arguments)
    page = arguments["output"].read_text()
    text = text_of(page)
    assert "logistic_regression reaches Balanced accuracy" in text
    assert "It is the only model of this run." in text
    assert "No model of this run was trained over several epochs." in text
    assert "Nothing was measured." in text
    assert "<i>" not in page.replace('<i style="', "").replace("</i>", "")


def test_stages_are_added_up(run):
    rows = {row["stage"]: row for row in stages(run["benchmarks"])}
    assert list(rows) == ["decode", "splits"]
    assert rows["decode"] == {"stage": "decode", "jobs": 2, "seconds": 100.5, "cpu_seconds": 180.0, "memory_mb": 300.0}
    assert rows["splits"]["jobs"] == 1
    assert np.isnan(rows["splits"]["memory_mb"])


def test_accounting_wants_every_model_and_no_strangers():
    predictions = pd.DataFrame({"id": ["a", "b", "a"], "model": ["m", "m", "n"]})
    found = dataset.account(pd.Series(["a", "b", "c"]), predictions, pd.Series(["c", "x"]))
    assert not found["adds_up"]
    assert found["lost"] == ["b"]  # model n did not predict it
    assert found["surplus"] == ["x"]


SCRIPT = """<pre id="result"></pre><script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("load", () => {
  const column = () => [...document.querySelectorAll("#comparison tbody tr")].map((r) => r.cells[1].dataset.value);
  const button = document.querySelectorAll("#comparison thead button")[1];
  const given = column();
  button.click();
  const down = column();
  button.click();
  const result = {
    errors, given, down, up: column(), sort: button.closest("th").getAttribute("aria-sort"),
    alerts: document.querySelectorAll("td script, th script").length,
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
  document.getElementById("result").textContent = JSON.stringify(result);
});
</script>"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_and_sorts_it(page, tmp_path, width):
    # Headless windows are no narrower than 500 pixels; a frame can be.
    (tmp_path / "page.html").write_text(page.replace("<body>", "<body>" + SCRIPT))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom"]
    outer = f'<iframe src="page.html" width="{width}" height="800"></iframe><pre id="copy"></pre><script>'
    outer += "onload = () => setTimeout(() => { copy.textContent = frames[0].result.textContent }, 500)</script>"
    (tmp_path / "outer.html").write_text(outer)
    shown = subprocess.run(
        [*command, (tmp_path / "outer.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    match = re.search(r'<pre id="copy">(.+?)</pre>', shown)
    assert match, shown[-2000:]
    result = json.loads(html.unescape(match[1]))
    assert result["errors"] == []
    assert result["alerts"] == 0
    assert result["sideways"] == 0
    values = [float(value) for value in result["given"]]
    assert [float(v) for v in result["down"]] == sorted(values, reverse=True)
    assert [float(v) for v in result["up"]] == sorted(values)
    assert result["sort"] == "ascending"
