"""The measurement on a GPU is ready: every part of it runs in little without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_every_part_runs_dry_and_notes_figures(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--dry", "--json", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert set(result["ended"]) == set(result["found"])
    assert len(result["ended"]) == 9
    assert "error" not in str(result["found"])
    steps = result["found"]["steps naive_cnn 16x64"]
    assert {"bare fp32", "engine default", "engine bf16 flip crop"} <= set(steps)
    assert all(facts["ms"] > 0 for facts in steps.values())
    assert result["found"]["memory"]["with half of the memory"]["halved"] == [[0, 2]]
    assert set(result["found"]["kills"]["left alone twice"].values()) == {0}
