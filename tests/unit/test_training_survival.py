"""A fit that is killed, asked to stop, or finds a bad checkpoint, ends with the bits of one that nothing happened to."""

import json
import subprocess
import sys
from pathlib import Path


def test_killed_at_random_moments_a_fit_comes_to_the_same_bits(tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("kills.py")), str(tmp_path), "3", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: facts["kills"] for name, facts in found.items()} == {"naive_cnn": 3, "vit_gru": 3}
