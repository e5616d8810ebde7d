"""The training loop never has a GPU wait for the host. It runs on a pretended GPU: no real one is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CASES = (
    "default",
    "default of a ViT",
    "augmented",
    "with boxes",
    "averaged",
    "several micro-batches",
    "half",
)
STEPS = 5


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    command = [sys.executable, "-m", "helpers.pretend_gpu", str(tmp_path_factory.mktemp("data"))]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_waits_only_where_an_epoch_ends_with_a_look_at_loss_and_weights(case, found):
    assert set(found) == set(CASES)
    assert found[case]["waits"] == {"_check_finite": 1, "_finite": 1}


def test_running_statistics_are_kept_in_one_launch_per_step_and_averages_made_in_one(found):
    assert found["averaged"]["buffers"] == 12
    assert found["averaged"]["launches"]["_copy"] == STEPS
    assert found["averaged"]["launches"]["update"] == STEPS
