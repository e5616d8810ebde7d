"""Test that what changed is run again, and only that."""

import shutil

import pytest
from helpers.harness import CONFIG

pytestmark = pytest.mark.workflow

FOLDS = 2
EVALUATION = {"evaluate": 1, "report": 1, "bundle": 1, "all": 1}
SVM = {"train_svm": FOLDS, "explain_svm": 1, **EVALUATION}
CNN = {"train_cnn": FOLDS, "explain_cnn": 1, **EVALUATION}
COLLECTED = {"collect_features": 1, "collect_clips_32": 1}
LABELS = {"splits": 1, "audit": 1, "check_leakage": 1, "coarser_groups": 1, **SVM, **CNN}
TRAINING = {**LABELS, **COLLECTED}
SHARD = {"probe": 1, "hashes": 1, "matches": 1, "decode": 1, "augment": 1, "resize": 1, "features": 1}


def test_nothing_changed_nothing_to_be_done(finished):
    assert finished.planned() == {}


@pytest.mark.parametrize("name", ["a b.mp4", "<script>.mp4", "{k}.mp4"])
def test_one_video_changed_runs_its_shard_and_what_depends_on_it(workflow, name):
    (workflow.directory / name).write_bytes((workflow.directory / "c,d.mp4").read_bytes())
    assert workflow.planned() == SHARD | TRAINING


def test_a_corrected_group_decodes_nothing(workflow):
    header, *rows = workflow.rows()
    rows[5][2] = "source-99"
    workflow.write_rows([header, *rows])
    assert workflow.planned() == LABELS


def test_a_corrected_label_decodes_nothing(workflow):
    header, *rows = workflow.rows()
    rows[5][1] = next(row[1] for row in rows if row[1] != rows[5][1])
    workflow.write_rows([header, *rows])
    assert workflow.planned() == LABELS


def test_a_lost_group_column_decodes_nothing(workflow):
    workflow.write_rows([row[:2] for row in workflow.rows()])
    assert workflow.planned() == LABELS


def test_a_renamed_manifest_runs_nothing(workflow):
    (workflow.directory / "videos.csv").rename(workflow.directory / "other.csv")
    workflow.configure(manifest=str(workflow.directory / "other.csv"))
    assert workflow.planned() == {"report": 1, "all": 1}  # which names it


def test_moved_and_touched_videos_run_nothing(workflow):
    header, *rows = workflow.rows()
    for path, *_ in rows:
        if (workflow.directory / path).exists():
            (workflow.directory / "elsewhere" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(workflow.directory / path, workflow.directory / "elsewhere" / path)
            (workflow.directory / path).unlink()
    workflow.write_rows([["id", *header], *([path, f"elsewhere/{path}", *more] for path, *more in rows)])
    assert workflow.planned() == {}


def test_rows_in_another_order_change_nothing(workflow):
    header, *rows = workflow.rows()
    workflow.write_rows([header, *reversed(rows)])
    assert workflow.planned() == {}


def test_a_missing_video_that_turns_up_runs_its_shard(workflow):
    (workflow.directory / "gone.mp4").write_bytes((workflow.directory / "a b.mp4").read_bytes())
    assert workflow.planned() == SHARD | TRAINING


def test_one_models_settings_edited_runs_that_model(workflow):
    models = ["svm", {"architecture": "naive_cnn", "name": "cnn", "size": 32, "width": 4, "epochs": 3}]
    workflow.configure(models=models)
    assert workflow.planned() == CNN


def test_more_memory_for_a_model_runs_nothing(workflow):
    models = [
        {"architecture": "svm", "memory_mb": 9000, "runtime": 9, "gpus": 1, "fits_per_gpu": 2},
        *CONFIG["models"][1:],
    ]
    workflow.configure(models=models)
    assert workflow.planned() == {}


def test_a_variant_added_runs_the_variant(workflow):
    variant = {"architecture": "svm", "name": "svm_c10", "C": 10}
    workflow.configure(models=[*CONFIG["models"], variant])
    assert workflow.planned() == {"train_svm_c10": FOLDS, "explain_svm_c10": 1, **EVALUATION}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "features/noise.py",
            "_EPSILON = 1e-3",
            "_EPSILON = 2e-3",
            {"features": 2, "collect_features": 1, "coarser_groups": 1, **SVM},
        ),
        ("models/architectures/svm.py", "self.intercept_ = 1.0", "self.intercept_ = 1.5", SVM),
        (
            "training/train_step.py",
            "total = torch.zeros_like",
            "total = 1 * torch.zeros_like",
            CNN,
        ),
        ("explain/attribution.py", "STEPS = 32", "STEPS = 16", {"explain_cnn": 1, "report": 1, "all": 1}),
        ("report/page/index.html", "<html", "<!-- edited --><html", {"report": 1, "all": 1}),
    ],
)
def test_code_edited_runs_what_uses_it(workflow, file, old, new, expected):
    path = workflow.project / "src/clipfold" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    planned = workflow.planned()
    assert planned == expected
    assert not {"probe", "decode", "augment", "resize"} & planned.keys()


def test_copies_are_stored_if_wanted_and_retrain_what_reads_them(workflow):
    shards = len(list((workflow.directory / "results/frames").iterdir()))
    workflow.configure(augment={"copies": 1, "keep": "stored"})
    assert workflow.planned() == {"copies": shards, "collect_clips_32": 1, **CNN}


def test_a_lost_report_is_made_again_whatever_else_is(workflow):
    (workflow.directory / "results/report/index.html").unlink()
    page = workflow.project / "src/clipfold/leakage/page.html"
    page.write_text(page.read_text() + "<!-- edited -->")
    assert workflow.planned() == {"audit": 1, "report": 1, "all": 1}


def test_a_single_fold_is_run_by_naming_its_file(workflow):
    target = "results/models/svm/fold-1/predictions.parquet"
    (workflow.directory / target).unlink()
    assert workflow.planned(target) == {"train_svm": 1}
