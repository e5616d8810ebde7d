"""Metrics that need a class are those of the classes that a bundle names."""

import re

import pandas as pd
from helpers.bundles import describe

from clipfold.delivery.card import model_card
from clipfold.delivery.external import external_test
from clipfold.delivery.opened import OpenBundle
from clipfold.delivery.page import write_page

CLASSES = ["calm", "fight"]


def metric(name, decision, value):
    return {"metric": name, "decision": decision, "value": value, "low": None, "high": None}


def facts(tmp_path):
    metrics = [metric("roc_auc", "", 0.8), metric("accuracy", "argmax", 0.6), metric("accuracy", "val", 0.7)]
    (tmp_path / "bundle.json").write_text("{}")
    return describe(tmp_path, threshold=0.2, metrics=metrics)


def test_the_page_measures_the_classes_that_it_lists(tmp_path):
    given = [("a", 0.1, "calm"), ("b", 0.3, "fight"), ("c", 0.4, "fight"), ("d", 0.9, "fight")]
    rows = [
        {"id": n, "label": "fight" if p > 0.2 else "calm", "p_calm": 1 - p, "p_fight": p, "status": "ok", "reason": ""}
        for n, p, _ in given
    ]
    table = pd.DataFrame(rows).assign(spread=0.0, distance=0.5, seen=False)
    external = external_test(table, CLASSES, {name: true for name, _, true in given}, {})
    write_page(OpenBundle(tmp_path, facts(tmp_path)), table, external, tmp_path / "page.html")
    row = re.search(r"<th scope=.row.>Accuracy</th>.*?</tr>", (tmp_path / "page.html").read_text())[0]
    assert re.findall(r"<b>([\d.]+)</b>", row) == ["1.000", "0.700"]


def test_the_card_gives_the_accuracy_of_the_threshold(tmp_path):
    assert "| Accuracy | 0.700 |" in model_card(facts(tmp_path))
