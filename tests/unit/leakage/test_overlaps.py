"""Segments that share frames, in different splits, are a leak of a kind of their own."""

import pyarrow as pa
import pytest

from clipfold.leakage.audit import audit_folds
from clipfold.leakage.check import check_leakage
from clipfold.leakage.overlaps import overlapping
from clipfold.splits.split import SCHEMA
from clipfold.storage.files import write_json


def segment(id, first, frames, file="f"):
    whole = f"{file}[{first}:{first + frames}]"
    facts = {"id": id, "label": "a", "digest": whole, "size_bytes": 9}
    return facts | {"bytes": file, "first_frame": first, "frames": frames}


def assigned(**splits):
    return [
        {"id": name, "label": "a", "group": name, "repeat": 0, "fold": 0, "split": split}
        for name, split in splits.items()
    ]


def audited(videos, rows, allowed=()):
    folds = pa.Table.from_pylist(rows, SCHEMA)
    return audit_folds(videos, folds, [], {"source": "manifest", "count": 3}, "grouped", allowed)


def test_overlapping_segments_in_different_splits_stop_the_run_unless_allowed(tmp_path):
    videos = [segment("a", 0, 100), segment("b", 90, 50), segment("c", 140, 10), segment("d", 0, 200, "other")]
    rows = assigned(a="test", b="train", c="train", d="val")
    facts = audited(videos, rows)
    assert (facts["stops"], facts["leaking"], facts["mark"]) == (["overlaps"], 1, "overlaps: 1 of 1 test videos leak")
    (leak,) = facts["overlaps_across_splits"]
    assert leak == {"first": "a", "second": "b", "frames": 10, "folds": [0], "groups": ["a", "b"], "labels": ["a", "a"]}
    assert audited(videos, rows, ["overlaps"])["stops"] == []
    write_json(tmp_path / "audit.json", facts)
    message = r"(?s)1 overlaps.*'a' and 'b' share 10 frames, fold 0.*leave group empty.*allow_leakage: \[overlaps\]"
    with pytest.raises(ValueError, match=message):
        check_leakage("folds", tmp_path / "audit.json", "page", "out")


def test_segments_that_meet_or_stay_in_one_split_are_no_leak():
    videos = [segment("a", 0, 100), segment("b", 100, 50), segment("c", 40, 30)]
    facts = audited(videos, assigned(a="train", b="test", c="train"))
    assert (facts["leaks"], facts["overlaps_across_splits"], facts["duplicates"]) == (0, [], [])


def test_the_same_segment_twice_is_a_duplicate_and_no_overlap():
    videos = [segment("a", 0, 100), segment("b", 0, 100), segment("c", 200, 10)]
    facts = audited(videos, assigned(a="train", b="test", c="train"))
    assert (facts["stops"], facts["duplicates"]) == (["duplicates"], [["a", "b"]])


def test_files_whose_segments_are_one_group_are_passed_over():
    videos = [segment(str(i), 0, 10 + i) for i in range(2000)]  # two million pairs
    assert list(overlapping(videos, {video["id"]: "one" for video in videos})) == []


def test_videos_without_known_frames_are_no_overlap():
    lost = {"id": "a", "bytes": "f", "first_frame": None, "frames": None}
    none = {"id": "b", "bytes": "f", "first_frame": 10, "frames": 0}
    assert list(overlapping([lost, none, segment("c", 0, 50)], {"a": "x", "b": "y", "c": "z"})) == []
