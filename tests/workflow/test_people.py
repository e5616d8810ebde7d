"""A whole run with several groups per row, rows without a label and a named positive class."""

import shutil

import numpy as np
import pandas as pd
import pytest
from helpers.harness import CONFIG, PROJECT, Workflow

import clipfold
from clipfold.demo.write import DAMAGE, make_demo

pytestmark = pytest.mark.workflow

MODELS = [*CONFIG["models"], {"architecture": "ensemble", "members": ["svm", "cnn"]}]
NEW = ("new-0.mp4", "new-1.mp4", "copy.mp4")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workflow:
    """A finished run: two videos of a new scene without a label, and a copy of a labelled one."""
    directory = tmp_path_factory.mktemp("people")
    make_demo(directory, sources=5)
    workflow = Workflow(PROJECT, directory)
    header, *rows = workflow.rows()
    rows = [row for row in rows if row[0] not in DAMAGE]
    *known, one, other = rows
    for row, name in zip((one, other), NEW, strict=False):
        (directory / row[0]).rename(directory / name)
    shutil.copy(directory / known[0][0], directory / NEW[2])
    known = [
        [path, label, f"{group};studio {2 if group[-2:] == '03' else int(group[-2:])}"]
        for path, label, group in (row[:3] for row in known)
    ]
    workflow.write_rows([header[:3], *known, *([name, "", known[0][2]] for name in NEW)])
    workflow.configure(models=MODELS, positive="real")
    workflow.output = workflow.run()
    return workflow


def table(workflow, name):
    return pd.read_parquet(workflow.directory / f"results/{name}.parquet")


def test_every_model_answers_for_the_rows_without_a_label(finished):
    found = table(finished, "evaluation/unlabelled")
    assert sorted(zip(found.model, found.id, strict=True)) == [
        (m, i) for m in ("cnn", "ensemble", "svm") for i in NEW[:2]
    ]
    assert set(found.folds) == {2}
    np.testing.assert_allclose(found.p_tampered + found.p_real, 1)
    assert found.spread.between(0, 0.5).all()


def test_rows_without_a_label_are_in_no_split_and_not_scored(finished):
    splits = table(finished, "splits/splits")
    assert set(splits.split[splits.id.isin(NEW)]) == {"unlabelled"}
    assert not set(NEW) & set(table(finished, "evaluation/predictions").id)
    for path in finished.directory.glob("results/models/*/fold-*/predictions.parquet"):
        given = pd.read_parquet(path)
        assert set(given.id[given.split == "unlabelled"]) == {*NEW[:2]}


def test_rows_in_are_rows_out(finished):
    quarantined = table(finished, "splits/quarantine").set_index("id")
    assert quarantined.status["copy.mp4"] == "duplicate"
    page = (finished.directory / "results/report/index.html").read_text()
    assert "No video is missing." in page
    assert "2 without a label, predicted by the model of every fold" in page
    assert (
        "3 of 21 rows have no label" in finished.output
        or "rows have no label and are only predicted" in finished.output
    )


def test_rows_that_share_any_group_stay_together(finished):
    splits = table(finished, "splits/splits").query("split != 'unlabelled'")
    assert splits.groupby(["fold", "group"]).split.nunique().max() == 1
    assert splits.group.nunique() == 4
    log = (finished.directory / "logs/splits.log").read_text()
    assert "9 values of group make 4 groups" in log


def test_the_bundle_carries_the_positive_class(finished):
    with clipfold.load(finished.directory / "results/bundles/best") as bundle:
        assert bundle.description["positive"] == "real"
        assert bundle.classes == ["real", "tampered"]
        threshold = bundle.description["threshold"]
        assert bundle.threshold_of(None) == bundle.threshold_of("real") == threshold
        assert bundle.threshold_of("tampered") == 1 - threshold
        above = np.array([[threshold + 1e-6, 1 - threshold - 1e-6], [threshold - 1e-6, 1 - threshold + 1e-6]])
        assert bundle.decide(above).tolist() == [0, 1]
        assert bundle.golden_problems() == []
        answers = bundle.predict([str(finished.directory / name) for name in NEW])
    assert (answers.status == "ok").all()
    assert answers.seen.tolist() == [False, False, True]


def test_another_positive_class_trains_nothing_again(finished):
    finished.configure(models=MODELS, positive="tampered")
    planned = finished.planned()
    assert "evaluate" in planned
    assert not [rule for rule in planned if rule.startswith(("train", "decode", "splits"))]
