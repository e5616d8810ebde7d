"""Test quarantine, duplicates in the audit, and classes without usable videos."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.leakage import matches
from clipfold.leakage.audit import audit_folds
from clipfold.manifest.read import Video
from clipfold.settings import PolicySettings, SplitSettings
from clipfold.splits.quarantine import apply_policy
from clipfold.splits.split import SCHEMA, SplitTask, split


def video(id, *, status="ok", row=0, digest=None, label="a"):
    facts = {"id": id, "label": label, "digest": digest or id, "row": row, "size_bytes": 9, "stage": "probe"}
    return facts | {"status": status, "reason": "" if status == "ok" else "because"}


def ids(videos):
    return [video["id"] for video in videos]


def test_policy_decides_on_videos_that_decode():
    videos = [video("b", status="truncated"), video("a"), video("c", status="missing", row=None)]
    used, rejected = apply_policy(videos, PolicySettings())
    assert (ids(used), ids(rejected)) == (["a"], ["b", "c"])
    used, rejected = apply_policy(videos, PolicySettings(truncated="use"))
    assert (ids(used), ids(rejected)) == (["a", "b"], ["c"])


def test_a_video_without_frames_is_not_used_whatever_the_policy():
    used, rejected = apply_policy([video("a", status="truncated", row=None)], PolicySettings(truncated="use"))
    assert (ids(used), ids(rejected)) == ([], ["a"])


def test_policy_can_let_the_run_fail():
    with pytest.raises(ValueError, match=r"1 videos are not usable.*b: truncated \(because\).*under `policy`"):
        apply_policy([video("a"), video("b", status="truncated")], PolicySettings(truncated="fail"))
    with pytest.raises(ValueError, match="b: duplicate"):
        apply_policy([video("a"), video("b", digest="a")], PolicySettings(duplicate="fail"))


def test_of_identical_files_the_first_is_used():
    videos = [video("c", digest="same"), video("a", digest="same"), video("b")]
    used, rejected = apply_policy(videos, PolicySettings())
    assert ids(used) == ["a", "b"]
    assert [(v["id"], v["status"], v["stage"], v["reason"]) for v in rejected] == [
        ("c", "duplicate", "splits", "the same content as 'a'")
    ]
    assert ids(apply_policy(videos, PolicySettings(duplicate="use"))[0]) == ["a", "b", "c"]


def test_identical_files_with_different_labels_are_all_rejected_and_logged_as_error(caplog):
    videos = [video("a", digest="same"), video("b", digest="same", label="b"), video("c")]
    used, rejected = apply_policy(videos, PolicySettings())
    assert (ids(used), ids(rejected)) == (["c"], ["a", "b"])
    assert {v["reason"] for v in rejected} == {"the same content under different labels: 'a' is 'a', 'b' is 'b'"}
    assert audit_folds(videos, SCHEMA.empty_table(), [], {}, "grouped", [])["conflicting_labels"] == [["a", "b"]]
    assert "ERROR" in caplog.text
    assert "'a' is 'a', 'b' is 'b'" in caplog.text


def assign(folder, videos, given=None):
    """Run `split` on tables like those that probing and decoding write."""
    facts = pd.DataFrame(videos).assign(path=lambda t: t.id, group=lambda t: t.id)
    facts = facts.assign(content=facts.digest, first_frame=0, frames=9)
    pq.write_table(pa.Table.from_pandas(facts.assign(status="ok", reason="")), folder / "probed.parquet")
    pq.write_table(pa.Table.from_pandas(facts[["id", "row", "status", "reason"]]), folder / "index.parquet")
    pq.write_table(matches.SCHEMA.empty_table(), folder / "matches.parquet")
    task = SplitTask(
        videos=[Video(v["id"], v["id"], v["label"], v["id"]) for v in videos],
        metadata=[folder / "probed.parquet"],
        indices=[folder / "index.parquet"],
        matches=folder / "matches.parquet",
        output=folder / "folds.parquet",
        quarantine=folder / "quarantine.parquet",
        audit=folder / "audit.json",
        settings=SplitSettings(folds=2, validation=0.34, scheme="column" if given else "grouped"),
        folds=1 if given else 2,
        given=given or {},
        policy=PolicySettings(),
        allowed=[],
        seed=0,
    )
    split(task)


def test_a_class_without_usable_videos_ends_the_run_with_the_reason(tmp_path):
    lost = [video(f"b{i}", status="missing" if i else "corrupt", label="b") for i in range(4)]
    used = [video(f"{label}{i}", label=label) for label in "ac" for i in range(6)]
    expected = "no usable video of label 'b' is left: 3 missing, 1 corrupt"
    with pytest.raises(ValueError, match=expected):
        assign(tmp_path, used + lost)
    assign(tmp_path, used)


def test_a_class_without_usable_videos_in_test_ends_the_run(tmp_path):
    videos = [video(f"{label}{i}", label=label) for label in "ab" for i in range(6)]
    given = {v["id"]: "test" if v["id"][1] in "01" else "train" for v in videos}
    assign(tmp_path, videos, given)
    lost = [v | {"status": "missing"} if v["id"] in ("b0", "b1") else v for v in videos]
    with pytest.raises(ValueError, match="no usable video of label 'b' is left in test: 2 missing"):
        assign(tmp_path, lost, given)


STATUSES = ["ok", "missing", "truncated", "corrupt"]


@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.sampled_from("xyz"), st.sampled_from("ab")), max_size=12))
def test_rows_in_are_rows_used_and_rejected(facts):
    videos = [
        video(f"{i:02}", status=status, digest=digest, label=label, row=None if status == "missing" else i)
        for i, (status, digest, label) in enumerate(facts)
    ]
    used, rejected = apply_policy(videos, PolicySettings(corrupt="use"))
    assert sorted(ids(used) + ids(rejected)) == ids(videos)
    assert all(v["status"] != "ok" and v["reason"] for v in rejected)
    assert len({v["digest"] for v in used}) == len(used)


def test_of_identical_files_the_one_with_a_label_is_used():
    videos = [video("a", digest="same", label=""), video("b", digest="same", label="x"), video("c", label="")]
    used, rejected = apply_policy([*videos, video("d", digest="c", label="")], PolicySettings())
    assert ids(used) == ["b", "c"]
    assert [(v["id"], v["reason"]) for v in rejected] == [
        ("a", "the same content as 'b'"),
        ("d", "the same content as 'c'"),
    ]


@pytest.mark.parametrize("column", [False, True])
def test_videos_without_a_label_are_in_no_split_and_change_none(tmp_path, column):
    videos = [video(f"{label}{i}", label=label) for label in "ab" for i in range(6)]
    given = {v["id"]: "test" if v["id"][1] in "01" else "train" for v in videos} if column else None
    folds = []
    for name, others in (("without", []), ("with", [video("u1", label=""), video("0", label="")])):
        (tmp_path / name).mkdir()
        assign(tmp_path / name, others + videos, given)
        folds.append(pd.read_parquet(tmp_path / name / "folds.parquet"))
    without, found = folds
    mine = found[found.label == ""]
    assert {*mine.split} == {"unlabelled"}
    assert sorted(zip(mine.fold, mine.id, strict=True)) == [
        (f, i) for f in sorted({*without.fold}) for i in ("0", "u1")
    ]
    assert list(found.id) == list(found.sort_values(["fold", "id"]).id)
    pd.testing.assert_frame_equal(found[found.label != ""].reset_index(drop=True), without)
