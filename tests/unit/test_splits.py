"""Who is used, who is not, and what the audit says of copies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.leakage.audit import audit_folds
from clipfold.quarantine import judge
from clipfold.settings import PolicySettings


def video(id, *, status="ok", row=0, digest=None, label="a"):
    facts = {"id": id, "label": label, "digest": digest or id, "row": row, "size_bytes": 9, "stage": "probe"}
    return facts | {"status": status, "reason": "" if status == "ok" else "because"}


def ids(videos):
    return [video["id"] for video in videos]


def test_policy_decides_on_what_decodes():
    videos = [video("b", status="truncated"), video("a"), video("c", status="missing", row=None)]
    used, rejected = judge(videos, PolicySettings())
    assert (ids(used), ids(rejected)) == (["a"], ["b", "c"])
    used, rejected = judge(videos, PolicySettings(truncated="use"))
    assert (ids(used), ids(rejected)) == (["a", "b"], ["c"])


def test_a_video_without_frames_is_not_used_whatever_the_policy():
    used, rejected = judge([video("a", status="truncated", row=None)], PolicySettings(truncated="use"))
    assert (ids(used), ids(rejected)) == ([], ["a"])


def test_policy_can_let_the_run_fail():
    with pytest.raises(ValueError, match=r"1 videos are not usable.*b: truncated \(because\).*under `policy`"):
        judge([video("a"), video("b", status="truncated")], PolicySettings(truncated="fail"))
    with pytest.raises(ValueError, match="b: duplicate"):
        judge([video("a"), video("b", digest="a")], PolicySettings(duplicate="fail"))


def test_of_identical_files_the_first_is_used():
    videos = [video("c", digest="same"), video("a", digest="same"), video("b")]
    used, rejected = judge(videos, PolicySettings())
    assert ids(used) == ["a", "b"]
    assert [(v["id"], v["status"], v["stage"], v["reason"]) for v in rejected] == [
        ("c", "duplicate", "splits", "the same content as 'a'")
    ]
    assert ids(judge(videos, PolicySettings(duplicate="use"))[0]) == ["a", "b", "c"]


def test_identical_files_with_different_labels_are_all_out_and_said_loudly(caplog):
    videos = [video("a", digest="same"), video("b", digest="same", label="b"), video("c")]
    used, rejected = judge(videos, PolicySettings())
    assert (ids(used), ids(rejected)) == (["c"], ["a", "b"])
    assert {v["reason"] for v in rejected} == {"the same content under different labels: 'a' is 'a', 'b' is 'b'"}
    assert audit_folds(videos, [], [], {}, "grouped", [])["conflicting_labels"] == [["a", "b"]]
    assert "ERROR" in caplog.text
    assert "'a' is 'a', 'b' is 'b'" in caplog.text


STATUSES = ["ok", "missing", "truncated", "corrupt"]


@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.sampled_from("xyz"), st.sampled_from("ab")), max_size=12))
def test_rows_in_are_rows_used_and_rejected(facts):
    videos = [
        video(f"{i:02}", status=status, digest=digest, label=label, row=None if status == "missing" else i)
        for i, (status, digest, label) in enumerate(facts)
    ]
    used, rejected = judge(videos, PolicySettings(corrupt="use"))
    assert sorted(ids(used) + ids(rejected)) == ids(videos)
    assert all(v["status"] != "ok" and v["reason"] for v in rejected)
    assert len({v["digest"] for v in used}) == len(used)
