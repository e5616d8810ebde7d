"""Records of jobs: requests against usage, and odd records that are ignored."""

import os

import pytest

from clipfold.resources.usage import Request, Usage, read_requests, read_usage, record_requests, table

ASKED = Request(memory_mb=2000, runtime=60, threads=2, gpus=1)


def test_requested_stands_against_used(tmp_path):
    (tmp_path / "benchmarks/decode").mkdir(parents=True)
    (tmp_path / "benchmarks/decode/0-of-1.tsv").write_text("s\th:m:s\tmax_rss\n30.0\t0:00:30\t500.0\n")
    (tmp_path / "benchmarks/splits.tsv").write_text("s\th:m:s\tmax_rss\n0.1\t0:00:00\tNA\n")
    record_requests(tmp_path / "resources.json", [("decode", ASKED)])
    record_requests(tmp_path / "resources.json", [("decode", Request(memory_mb=100, runtime=1, threads=1, gpus=0))])
    uses = read_usage(tmp_path / "benchmarks")
    assert uses == {"decode": [Usage(30.0, 500.0)], "splits": [Usage(0.1, 0.0)]}
    lines = table(read_requests(tmp_path / "resources.json"), uses).splitlines()
    assert lines[1].split() == ["decode", "1", "2000", "500", "25", "%", "60", "0.5"]
    assert lines[2].split() == ["splits", "1", "?", "0", "?", "?", "0.0"]


def test_odd_records_are_ignored_with_a_warning(tmp_path, caplog):
    good = "s\th:m:s\tmax_rss\n30.0\t0:00:30\t500.0\n"
    odd = {
        "empty": "",
        "truncated": "s\th:m:s\tmax_rss\n30.0",
        "columns": "a\tb\n1\t2\n",
        "text": "s\tmax_rss\nsoon\t1\n",
        "infinite": "s\tmax_rss\nnan\t1\n",
        "large": "s\tmax_rss\n1e308\t1\n",
        "negative": "s\tmax_rss\n1\t-5\n",
    }
    for name, text in {"good": good, **odd}.items():
        (tmp_path / f"{name}.tsv").write_text(text)
    (tmp_path / "bytes.tsv").write_bytes(b"s\tmax_rss\n\xff\xfe\t1\n")
    (tmp_path / "folder.tsv").mkdir()
    os.mkfifo(tmp_path / "pipe.tsv")
    found = read_usage(tmp_path)
    assert found == {"good": [Usage(30.0, 500.0)]}
    for name in ("truncated", "columns", "text", "infinite", "large", "negative", "bytes", "folder", "pipe"):
        assert f"{name}.tsv is ignored" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"decode": 3}',
        '{"decode": {"memory": 1}}',
        '{"decode": {"memory_mb": "much", "runtime": 1, "threads": 1, "gpus": 0}}',
        '{"decode": {"memory_mb": 1%s, "runtime": 1, "threads": 1, "gpus": 0}}' % ("0" * 400),
    ],
)
def test_an_odd_record_of_requests_is_replaced(tmp_path, caplog, text):
    path = tmp_path / "resources.json"
    path.write_text(text)
    assert read_requests(path) == {}
    assert "resources.json is ignored" in caplog.text
    record_requests(path, [("decode", ASKED)])
    assert read_requests(path) == {"decode": ASKED}


def test_a_pipe_in_place_of_the_requests_holds_nothing_up(tmp_path):
    os.mkfifo(tmp_path / "resources.json")
    assert read_requests(tmp_path / "resources.json") == {}


def test_a_rule_that_asked_for_no_memory_has_no_share():
    none = Request(memory_mb=0, runtime=1, threads=1, gpus=0)
    assert table({"splits": none}, {"splits": [Usage(1.0, 5.0)]}).splitlines()[1].split()[4] == "?"
