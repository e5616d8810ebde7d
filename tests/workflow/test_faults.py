"""Test what disks, clocks and people do to a run: a clear message, or the same results once more."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

pytestmark = pytest.mark.workflow


@contextmanager
def mounted(folder: Path, options: str):
    """A file system of its own in the place of a folder."""
    folder.mkdir(exist_ok=True)
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"mounting takes root: {mount.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def clean(workflow, answer, *arguments):
    command = [sys.executable, str(workflow.project / "workflow/clean.py"), str(workflow.directory), *arguments]
    return subprocess.run(command, input=answer, capture_output=True, text=True)


def test_cleaning_asks_says_what_stays_and_takes_only_what_was_made(workflow):
    results = workflow.directory / "results"
    mine = [results / "metadata/my clip.mp4", results / "mine.csv", workflow.directory / "logs/notes.txt"]
    for path in mine:
        path.write_bytes(b"mine")
    (results / "evaluation/linked.parquet").symlink_to(workflow.directory / "videos.csv")
    before = workflow.results()
    kept = {path for path in workflow.directory.iterdir() if path.name not in ("results", "logs", ".snakemake")}
    assert clean(workflow, "\n").stderr == "nothing was removed\n"
    assert workflow.results() == before
    done = clean(workflow, "y\n", "--all")
    assert done.returncode == 0, done.stderr
    assert all(str(path) in done.stdout for path in [*mine, *kept])
    left = {path for path in workflow.directory.rglob("*") if not path.is_dir() and path.parent.name != "videos"}
    files = {path for path in kept if path.is_file()}
    ledger = results / "ledger.json"  # outlives results: what was scored stays scored
    assert left == {*mine, results / "evaluation/linked.parquet", ledger, *files}
    assert not (workflow.directory / ".snakemake").exists()
    assert clean(workflow, "y\n").stderr.endswith("has no results or logs of the workflow\n")


def test_cleaning_leaves_a_folder_at_work_alone(workflow):
    locks = workflow.directory / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").touch()
    assert "is locked" in clean(workflow, "y\n").stderr
    assert workflow.results()


# Files of which none is made from another are truncated together; the first two are of different shards.
CUT = [
    ["metadata/0-*.parquet", "frames/1-*/motion.npy"],
    ["models/svm/fold-0/model.skops", "models/cnn/fold-1/model.safetensors"],
    ["evaluation/metrics.parquet", "evaluation/roc.svg", "evaluation/coarser_groups.json"],
    ["report/index.html"],
]


@pytest.mark.parametrize("patterns", CUT, ids=lambda patterns: patterns[0])
def test_a_truncated_file_is_found_and_made_again(workflow, patterns):
    before = workflow.results()
    paths = [next((workflow.directory / "results").glob(pattern)) for pattern in patterns]
    whole = [path.read_bytes() for path in paths]
    for path, content in zip(paths, whole, strict=True):
        times = path.stat()
        os.truncate(path, len(content) // 2)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a failing disk changes no time
    said = workflow.run()
    assert workflow.results() == before
    for path, content in zip(paths, whole, strict=True):
        assert f"{path.relative_to(workflow.directory)} is truncated" in said
        if path.exists() or "metadata" not in patterns[0]:  # nothing needs these two
            assert path.name in ("index.html", "model.skops") or path.read_bytes() == content  # those two hold the time
    assert workflow.planned() == {}


def test_files_that_no_rule_writes_and_files_behind_links_are_never_touched(workflow):
    results, mine = workflow.directory / "results", workflow.directory / "mine"
    (results / "evaluation").rename(mine)
    (results / "evaluation").symlink_to(mine)
    others = [results / "report/notes.html", results / "notes.pdf", results / "metadata/mine.json", mine / "roc.svg"]
    for path in others:
        path.write_text("no end that the type requires")
    (results / "splits/audit.json").write_text("[")
    said = workflow.run("--until", "splits")
    assert [path.read_text() for path in others] == ["no end that the type requires"] * 4
    assert "results/splits/audit.json.broken-1" in said
    assert (results / "splits/audit.json.broken-1").read_text() == "["
    assert said.count("moved to") == 1


def test_results_without_the_records_of_how_they_were_made_are_not_taken_for_those_of_the_config(workflow):
    before, records = workflow.results(), workflow.directory / ".snakemake"
    records.rename(workflow.directory / "kept")
    said = workflow.run(check=False)
    assert "so nothing tells whether they fit this configuration" in said
    assert "Nothing to be done" not in said
    said = workflow.run("--forceall", "--until", "probe")
    assert "probe" in said
    shutil.rmtree(records)
    (workflow.directory / "kept").rename(records)
    assert workflow.planned() == {}
    assert workflow.results() == before


def test_jobs_import_nothing_from_the_working_directory(workflow, monkeypatch):
    ran = workflow.directory.parent / "ran"
    for folder in (workflow.directory, workflow.directory / ".snakemake/scripts"):
        folder.mkdir(exist_ok=True)
        for name in ("resource.py", "numpy.py", "clipfold.py"):
            (folder / name).write_text(f"open({str(ran)!r}, 'a').write(__file__)")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    said = workflow.run("--forcerun", "matches", "--until", "matches", check=False)
    assert not ran.exists()
    assert "matches" in said
    assert (workflow.directory / "results/splits/matches.parquet").exists()


def test_what_a_model_learns_from_is_made_again_only_where_a_model_needs_it(workflow):
    before = workflow.results()
    results = workflow.directory / "results"
    learnt = next(results.glob("resized/32/*.npy"))
    learnt.unlink()
    said = workflow.run()
    assert "results/collections/clips_32.json lists files that are missing" in said
    assert "Nothing to be done" in said
    shutil.rmtree(results / "models/cnn/fold-0")
    workflow.run("results/models/cnn/fold-0/predictions.parquet")
    assert learnt.exists()
    assert workflow.results() == before


def test_a_full_disk_is_named_and_the_next_run_completes(workflow):
    results, aside = workflow.directory / "results", workflow.directory / "aside"
    results.rename(aside)
    target = "results/splits/splits.parquet"
    with mounted(results, "size=300k"):
        said = workflow.run(target, check=False)
        assert "No space left on device" in said
    workflow.run(target)
    for path in [*aside.glob("frames/*/*.npy"), aside / "splits/splits.parquet"]:
        assert (results / path.relative_to(aside)).read_bytes() == path.read_bytes(), path


def test_a_results_folder_that_cannot_be_written_is_one_clear_message(workflow):
    results = workflow.directory / "results"
    results.rename(workflow.directory / "aside")
    with mounted(results, "ro"):
        said = workflow.run(check=False)
    assert f"results cannot be written to {results}: Read-only file system" in said
    assert "Traceback" not in said


def test_a_video_from_the_future_is_nothing_special(workflow):
    os.utime(workflow.directory / "a b.mp4", (time.time() + 86400,) * 2)
    assert workflow.planned() == {}


def test_a_clock_that_went_back_between_two_stages_ends_in_the_same_results(workflow):
    """Everything after decoding looks older than what it was made from."""
    before = workflow.results()
    past = time.time() - 86400
    for path in (workflow.directory / "results").rglob("*"):
        if path.is_file() and path.parent.parent.name not in ("frames", "metadata"):
            os.utime(path, (past, past))
    workflow.run()
    assert workflow.results() == before
    assert workflow.planned() == {}


def test_a_lock_left_behind_is_named_with_its_remedy(workflow):
    expected = workflow.results()
    shutil.rmtree(workflow.directory / "results/evaluation")
    process = subprocess.Popen(workflow.command(), env=workflow.environment, stdout=subprocess.PIPE, text=True)
    while not any((workflow.directory / ".snakemake/locks").glob("*")):
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    said = workflow.run(check=False)
    assert "--unlock" in said
    workflow.run("--unlock")
    workflow.run()
    assert workflow.results() == expected


def test_a_video_replaced_between_probing_and_decoding_is_named(workflow, tmp_path, monkeypatch):
    monkeypatch.chdir(workflow.directory)
    paths = {name: name for name in ("a b.mp4", "c,d.mp4")}
    probe_shard(paths, tmp_path / "metadata.parquet", ProbeSettings(), workers=1)
    times = os.stat("a b.mp4")
    Path("a b.mp4").write_bytes(Path("c,d.mp4").read_bytes())
    os.utime("a b.mp4", ns=(times.st_atime_ns, times.st_mtime_ns))
    arrays = {view: tmp_path / f"{view}.npy" for view in DecodeSettings().views}
    with pytest.raises(RuntimeError, match=r"a b\.mp4 is not the file that was probed: run again"):
        decode_shard(paths, tmp_path / "metadata.parquet", arrays, tmp_path / "index.parquet", DecodeSettings(), 1)
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == ["metadata.parquet"]
    assert not any(path.exists() for path in arrays.values())
