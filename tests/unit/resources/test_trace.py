"""A run as a trace: spans from records and their times, lanes, and what stands in the file."""

import json
import os

import pytest

from clipfold.resources.trace import events, read_spans, write_trace

HEADER = "s\th:m:s\tmax_rss\tcpu_time\n"


@pytest.fixture
def results(tmp_path):
    """Records of a probe that took 10 s, and two fits beside each other 5 s later."""
    for name, seconds, ended in (("probe", 10, 1010), ("train_svm/fold-0", 20, 1035), ("train_svm/fold-1", 30, 1046)):
        path = tmp_path / "results" / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEADER}{seconds}\t0\t{100 + seconds}\t{seconds / 2}\n")
        os.utime(path, (ended, ended))
    return tmp_path / "results"


def test_each_job_stands_where_and_as_long_as_it_ran(results):
    made = events(read_spans(results / "benchmarks"))
    jobs = [(e["name"], e["tid"], e["ts"], e["dur"]) for e in made if e["ph"] == "X"]
    assert jobs == [
        ("probe", 0, 0, 10_000_000),
        ("train_svm fold-0", 0, 15_000_000, 20_000_000),
        ("train_svm fold-1", 1, 16_000_000, 30_000_000),
    ]
    memory = [(e["ts"], e["args"]["peak MB"]) for e in made if e["ph"] == "C"]
    assert memory == [(0, 110), (10e6, 0), (15e6, 120), (16e6, 250), (35e6, 130), (46e6, 0)]


def test_the_file_and_its_summary(results, tmp_path):
    said = write_trace(results, tmp_path / "run.json")
    assert "3 jobs in 46 s from the first to the last, 1.3 at once on average, none during 5 s" in said
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["traceEvents"] == events(read_spans(results / "benchmarks"))


def test_records_that_are_odd_are_left_out(results, tmp_path):
    (results / "benchmarks/odd.tsv").write_text(f"{HEADER}nan\t0\t1\t1\n")
    (results / "benchmarks/short.tsv").write_text("s\th:m:s\tmax_rss\n0.1\t0:00:00\tNA\n")
    found = {span.rule: span for span in read_spans(results / "benchmarks")}
    assert "odd" not in found
    assert (found["short"].cpu_s, found["short"].memory_mb) == (0, 0)


def test_where_no_job_ran_it_is_said(tmp_path):
    with pytest.raises(ValueError, match="no job has run there yet"):
        write_trace(tmp_path, tmp_path / "run.json")
    assert not (tmp_path / "run.json").exists()
