"""What every job shares."""

import subprocess
import sys

import pytest

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
