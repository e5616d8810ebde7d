"""Cleaning follows no link, wherever it is."""

import subprocess
import sys
from pathlib import Path

import pytest

CLEAN = Path(__file__).parents[3] / "workflow/clean.py"


@pytest.mark.parametrize("linked", ["results", "results/models", "logs", ".snakemake"])
def test_what_a_linked_folder_holds_stays(tmp_path, linked):
    run, other = tmp_path / "run", tmp_path / "other"
    theirs = [other / name for name in ("models/a.parquet", "a.parquet", "resources.json", "a.log", "empty/deep")]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if path.name == "deep" else path.write_text("theirs")
    ours = [run / name for name in ("results/metadata/b.parquet", "logs/b.log")]
    ours = [path for path in ours if not path.is_relative_to(run / linked)]
    for path in ours:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ours")
    (run / linked).symlink_to(other)
    done = subprocess.run(
        [sys.executable, str(CLEAN), str(run), "--all"], input="y\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(path.exists() for path in theirs)
    assert not any(path.exists() for path in ours)
    assert (run / linked).is_symlink()
    assert str(run / linked) in done.stdout.splitlines()[0]
