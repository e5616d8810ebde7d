"""The index that the start of a job reads instead of the manifest."""

import csv
import json

import pytest

from clipfold.manifest.index import read_index
from clipfold.manifest.read import read_extras
from clipfold.plan import Plan

ROWS = [
    (f"{i}é.mp4", "ab"[i % 2], f"g{i // 2};h{i // 4}", f"{i / 3}", "train" if i < 36 else "test") for i in range(48)
]
CONFIG = {"manifest": "videos.csv", "shard_size": 8}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, ROWS)
    return tmp_path


def write(folder, rows):
    with open(folder / "videos.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "group", "start", "split"), *rows])


def plan(folder, index=None, **values):
    return Plan.from_config(CONFIG | values, [folder], index)


def started(folder, **values):
    """The plan of a job's start, and whether it comes from the index."""
    made = plan(folder, folder / "plan", **values)
    return made, made.facts is not None


def test_a_job_plans_from_the_index_what_its_run_planned_from_the_manifest(folder):
    run = plan(folder)
    run.write_index(folder / "plan")
    job, indexed = started(folder)
    assert indexed
    assert {name: list(videos) for name, videos in job.shards.items()} == run.shards
    assert {v.id: v.values for v in job.videos} == {v.id: v.values for v in run.videos}
    assert sorted(job.videos, key=lambda v: v.id) == sorted(run.videos, key=lambda v: v.id)
    assert (len(job.videos), job.folds, job.labels_digest) == (48, run.folds, run.labels_digest)
    assert job.trains
    assert len(job.shards) > 1
    assert job.extras() == run.extras() == read_extras(folder / "videos.csv")
    assert [*run.extras()] == ["id", "split"]


def test_a_job_reads_no_rows_but_those_of_its_shard(folder):
    run = plan(folder)
    run.write_index(folder / "plan")
    (rows,) = (folder / "plan").glob("*.rows")
    first, *others = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(first + b"".join(b"?" * len(line) for line in others))
    job, _ = started(folder)
    name = next(iter(job.shards))
    assert job.shards[name] == run.shards[name]


@pytest.mark.parametrize(
    "values", [{"shard_size": 9}, {"splits": {"folds": 4}}, {"group_separator": ""}, {"columns": {"start": ""}}]
)
def test_other_settings_are_planned_anew(folder, values):
    plan(folder).write_index(folder / "plan")
    job, indexed = started(folder, **values)
    assert not indexed
    assert (job.shards, job.folds) == (plan(folder, **values).shards, plan(folder, **values).folds)
    job.write_index(folder / "plan")
    assert started(folder, **values)[1]
    assert len(list((folder / "plan").iterdir())) == 2  # the earlier one is gone


def test_settings_of_models_keep_the_index(folder):
    plan(folder).write_index(folder / "plan")
    assert started(folder, models=["svm"], seed=3)[1]


def test_an_edited_manifest_is_read_again(folder):
    plan(folder).write_index(folder / "plan")
    write(folder, ROWS[:-1])
    job, indexed = started(folder)
    assert (len(job.videos), indexed) == (47, False)


def test_given_splits_are_read_when_a_job_asks_for_them(folder):
    column = {"splits": {"scheme": "column"}}
    run = plan(folder, **column)
    run.write_index(folder / "plan")
    job, indexed = started(folder, **column)
    assert indexed
    assert job.given_splits == run.given_splits != {}


def cut_rows(index, rows):
    rows.write_bytes(rows.read_bytes()[:-1])


def cut_facts(index, rows):
    index.write_bytes(index.read_bytes()[:-9])


def wrong_facts(index, rows):
    found = json.loads(index.read_bytes())
    index.write_text(json.dumps(found | {"facts": found["facts"] | {"folds": "many"}}))


def no_rows(index, rows):
    rows.unlink()


@pytest.mark.parametrize("damage", [cut_rows, cut_facts, wrong_facts, no_rows])
def test_a_damaged_index_is_ignored_and_replaced(folder, damage):
    run = plan(folder)
    run.write_index(folder / "plan")
    index = folder / "plan" / f"{run.key}.json"
    damage(index, index.with_suffix(".rows"))
    assert read_index(folder / "plan", run.key) is None
    job, _ = started(folder)
    assert job.shards == run.shards
    run.write_index(folder / "plan")
    assert started(folder)[1]


def test_a_table_has_no_index(tmp_path):
    rows = "".join(f"{'ab'[i % 2]},{i * 5 % 7 / 2}\n" for i in range(12))
    (tmp_path / "videos.csv").write_text(f"label,size\n{rows}")
    made = plan(tmp_path, modality="table")
    made.write_index(tmp_path / "plan")
    assert not (tmp_path / "plan").exists()
