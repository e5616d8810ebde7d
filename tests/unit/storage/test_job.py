"""Test what every job shares."""

import gc
import re
import subprocess
import sys
import time

import pytest

from clipfold.storage.job import logged
from snakemake_logger_plugin_clipfold.failures import Job, describe, read_cause

FAULTS = """
import resource, sys
import numpy as np
from clipfold.storage.job import logged

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(50_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

default = faults()
with logged(sys.argv[1]):
    faults()
    print(default, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what glibc does")
def test_a_job_has_freed_memory_again_without_asking_the_system(tmp_path):
    printed = subprocess.check_output([sys.executable, "-c", FAULTS, tmp_path / "log"], text=True)
    default, kept = map(int, printed.split())
    assert kept < default / 10


@pytest.mark.parametrize("loaded", [True, False])
def test_a_job_does_not_look_for_cycles_at_its_end_unless_it_loaded_pytorch(loaded, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    if not loaded:
        monkeypatch.delitem(sys.modules, "torch")
    gc.unfreeze()
    with logged(str(tmp_path / "log")):
        pass
    assert (gc.get_freeze_count() > 1000) != loaded
    gc.unfreeze()


class Unlucky(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("C is -1: use a positive number"), r"C is -1: use a positive number"),
        (ValueError("the folds leak:\n'a.mp4' and 'b.mp4'"), r"the folds leak:\n'a.mp4' and 'b.mp4'"),
        (Unlucky("why"), r"Unlucky: why \(test_job.py, line \d+\)"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_a_job_fails_quietly_and_its_log_tells_the_cause(tmp_path, capfd, error, cause):
    log = tmp_path / "logs/job.log"
    with pytest.raises(SystemExit) as ended, logged(str(log)):
        raise error
    assert ended.value.code in (1, 130)
    assert capfd.readouterr() == ("", "")
    assert re.fullmatch(cause, read_cause([str(log)], since=0))
    assert ("Traceback" in log.read_text()) == isinstance(error, Exception)
    assert read_cause([str(log)], since=time.time() + 60) == ""  # of an earlier run
    assert read_cause([str(tmp_path / "none.log")], since=0) == ""


def test_a_failure_names_stage_model_fold_and_log():
    assert describe(Job("train_svm", {"fold": "2"}, 0), "bad\nvideo", ["/a.log"]) == [
        "FAILED  train_svm (model svm, fold 2)",
        "        bad",
        "        video",
        "        log: /a.log",
    ]
    lines = describe(Job("decode", {"shard": "0-of-4"}, 0), "\n".join("x" * 50), [])
    assert lines[0] == "FAILED  decode (shard 0-of-4)"
    assert lines[-1].strip() == "... 40 more lines in the log"
