"""The command `clipfold`, as its own process: what users type, what they read, and the exit codes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from helpers.bundles import repack
from helpers.finished_run import CLIPS, FEATURES
from helpers.layouts import folders

import clipfold
from clipfold import cli
from clipfold.storage.files import read_table, write_table

SOURCE = str(Path(clipfold.__file__).parents[1])


def run_command(*arguments, stdin="", cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "clipfold.cli", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": SOURCE, "COLUMNS": "120"},
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def fails(*arguments, message, code=1, **options):
    done = run_command(*arguments, **options)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


# Help

COMMANDS = [
    ["predict"],
    ["demo"],
    ["costs"],
    ["drift"],
    ["export"],
    ["augment-preview"],
    ["benchmark"],
    ["make-manifest"],
    ["registry"],
    *(["registry", name] for name in ("add", "list", "path", "show", "promote", "unalias", "rebuild", "remove")),
]


@pytest.mark.parametrize("command", [[], *COMMANDS])
def test_every_command_has_help(command):
    done = run_command(*command, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout
    described = done.stdout.partition("\n\n")[2].strip()
    assert described[0].isupper()


def test_help_lists_every_command():
    shown = run_command("--help").stdout
    assert all(f"  {command[0]} " in shown for command in COMMANDS)


def test_help_loads_nothing_heavy():
    """That is how it takes less than half a second."""
    code = """
import runpy, sys
sys.argv = ["clipfold", *sys.argv[1:], "--help"]
try:
    runpy.run_module("clipfold.cli", run_name="__main__")
except SystemExit:
    pass
heavy = ("numpy", "pandas", "pyarrow", "torch", "av", "sklearn", "cv2", "rich")
print("HEAVY", [name for name in heavy if name in sys.modules])
"""
    for command in ([], ["predict"], ["registry", "list"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            env=os.environ | {"PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize(
    ("text", "seconds"), [("4s", 4), ("500ms", 0.5), ("2min", 120), ("1.5", 1.5), (" 1 h ", 3600), (".5s", 0.5)]
)
def test_durations_are_read(text, seconds):
    assert cli.seconds("window", text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "4 days", "1e9", "4s4", "∞"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r"window is .*: use a duration such as 4s"):
        cli.seconds("window", text)


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "gone.clipfold", "a.mp4"], "bundle is 'gone.clipfold': there is no such file or folder"),
        (["predict", "empty", "a.mp4"], "empty has no bundle.json: use a bundle"),
        (["predict", "text.clipfold", "a.mp4"], "is no bundle, or damaged"),
        (["registry", "show", "empty", "x"], "add a bundle"),
        (["export", "gone.clipfold", "--output", "x.clipfold", "--to", "tflite"], "to is 'tflite': use onnx"),
        (["drift", "gone.clipfold", "a.csv"], "there is no such file or folder"),
        (["demo", "--sources", "1"], "sources is 1: use 2 to 12"),
        (["costs", "gone"], "gone"),
        (["make-manifest", "folder", "empty"], "kind is 'folder': did you mean 'folders'?"),
        (["make-manifest", "folders", "empty"], "nothing has a place in the manifest"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.clipfold").write_text("no bundle")
    fails(*arguments, message=message, cwd=tmp_path)


# Manifests


def test_a_manifest_is_made_and_the_next_command_named(tmp_path):
    folders(tmp_path / "data")
    done = run_command("make-manifest", "folders", "data", "-o", "my.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "20 rows in 2 classes" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f"--config manifest={tmp_path / 'my.csv'}")
    assert (tmp_path / "my.csv").read_text().startswith('path,label\n"data/fight/clip 0, take #0 é.mp4",fight\n')
    fails("make-manifest", "folders", "data", "-o", "my.csv", message="use another name, or --force", cwd=tmp_path)
    assert run_command("make-manifest", "folders", "data", "-o", "my.csv", "--force", cwd=tmp_path).returncode == 0


def test_a_wrong_command_line_is_told_from_nothing_predicted():
    for arguments in (["predict", "--nonsense"], ["predict"], ["nonsense"], ["predict", "a", "b", "--workers", "x"]):
        done = run_command(*arguments)
        assert done.returncode == 64, done.stderr


def test_a_mistake_is_found_before_the_libraries_are_loaded(tmp_path):
    code = """
import runpy, sys
try:
    runpy.run_module("clipfold.cli", run_name="__main__")
except SystemExit:
    print([name for name in ("numpy", "pandas", "av", "scipy") if name in sys.modules])
"""
    (tmp_path / "a.mp4").touch()
    for arguments in (["gone.clipfold", "a.mp4"], ["gone.clipfold", "a.mp4", "-o", "out.xls"]):
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", *arguments],
            env=os.environ | {"PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.stderr.startswith(("error: bundle is", "error: output is"))
        assert done.stdout == "[]\n"


# Predict


@pytest.fixture
def some(videos, tmp_path):
    """A folder with two videos and a broken one, which the command reads."""
    (tmp_path / "new/deep").mkdir(parents=True)
    for name, video in zip(("new/a b.mp4", "new/deep/c,d.mp4"), list(videos.values())[:2], strict=True):
        unseen(video, tmp_path / name)
    return tmp_path


def unseen(video, path):
    """Copy a video with more bytes at its end, which show nothing: by content, it is none of the training videos."""
    path.write_bytes(video.read_bytes() + b"\0\0\0\x08free")


@pytest.mark.slow
def test_all_predicted_is_code_0(run, some):
    done = run_command("predict", run.bundle(FEATURES), "new", "-o", "out.csv", cwd=some)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["2 of 2 videos predicted; wrote out.csv, out.html"]
    assert pd.read_csv(some / "out.csv").id.tolist() == ["new/a b.mp4", "new/deep/c,d.mp4"]
    assert "Content-Security-Policy" in (some / "out.html").read_text()


@pytest.mark.slow
def test_a_profile_changes_what_it_says(run, some):
    done = run_command("predict", run.bundle(CLIPS), "new", "--profile", "quality", "--set", "enough=0.95", cwd=some)
    assert done.returncode == 0, done.stderr
    said = "quality, changed (views_at_test=4, precision=fp32, enough=0.95)"
    assert set(pd.read_csv(some / "predictions.csv").profile) == {said}
    assert said in (some / "predictions.html").read_text()


@pytest.mark.slow
def test_some_predicted_is_code_3(run, some):
    (some / "new/bad.mp4").write_text("no video")
    done = run_command("predict", run.bundle(CLIPS).parent, "new", "gone.mp4", "--no-page", cwd=some)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "2 of 4 videos predicted, 1 unreadable, 1 missing; wrote predictions.csv",
    ]
    assert len(pd.read_csv(some / "predictions.csv")) == 4
    assert not (some / "predictions.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("window", [(), ("--window", "2s")])
def test_nothing_predicted_is_code_2(run, tmp_path, window):
    done = run_command("predict", run.bundle(FEATURES), "gone.mp4", *window, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "-o", "out.xlsx"], "output is 'out.xlsx': use a name that ends in .parquet, .csv, .jsonl"),
        (["-"], "videos is 0: name files"),
        (["new", "--window", "4 days"], "window is '4 days': use a duration"),
        (["new", "--window", "0s"], "window is 0.0: use a "),
        (["new", "--window", "4s", "--threshold", "2"], "threshold is 2.0: use a number from 0 to 1"),
        (["new", "--class", "real"], "--class needs it: add --window 4s, or leave it out"),
        (["new", "--profile", "fats"], "profile is 'fats': did you mean 'fast'?"),
        (["new", "--profile", "fast", "--set", "views=2"], "set is 'views=2': use one of views_at_test, precision"),
    ],
)
def test_a_mistake_in_predicting_is_one_line(run, some, arguments, message):
    fails("predict", run.bundle(FEATURES), *arguments, message=message, cwd=some)
    assert sorted(path.name for path in some.iterdir()) == ["new"]


@pytest.mark.slow
def test_command_and_interface_give_the_same(run, bundles, some):
    run_command(
        "predict", run.bundle(CLIPS), "-", "-o", "out.parquet", stdin="new/a b.mp4\nnew/deep/c,d.mp4\n", cwd=some
    )
    found = pd.read_parquet(some / "out.parquet")
    expected = bundles[CLIPS].predict([some / name for name in found.id])
    pd.testing.assert_frame_equal(
        found.drop(columns=["id", "path"]), expected.drop(columns=["id", "path"]), check_dtype=False, rtol=0, atol=1e-6
    )


@pytest.mark.slow
def test_labels_that_are_given_make_an_external_test(run, videos, tmp_path):
    rows = ["path,label,group"]
    for number, video in enumerate(videos.values()):
        unseen(video, tmp_path / f"{number}{video.suffix}")
        rows.append(f"{number}{video.suffix},{('real', 'tampered')[number % 2]},g{number // 2}")
    (tmp_path / "new.csv").write_text("\n".join(rows))
    done = run_command("predict", run.bundle(FEATURES), "new.csv", "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_json(tmp_path / "out.jsonl", lines=True)
    assert table.true_label.tolist() == ["real", "tampered"] * 7
    assert set(table.group) == {f"g{number}" for number in range(7)}
    text = " ".join((tmp_path / "out.html").read_text().split())
    assert "14 labelled videos of 7 groups" in text


@pytest.mark.slow
def test_training_videos_are_predicted_but_make_no_external_test(run, tmp_path):
    done = run_command("predict", run.bundle(FEATURES), run.manifest, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 3
    assert "14 of 16 videos predicted" in done.stderr
    assert "14 of them training videos" in done.stderr
    assert 'id="external"' not in (tmp_path / "out.html").read_text()


@pytest.mark.slow
def test_a_long_video_becomes_a_timeline(run, videos, tmp_path):
    video = next(iter(videos.values()))
    done = run_command(
        *("predict", run.bundle(FEATURES), video, "--window", "500ms", "--stride", "0.25", "--threshold", "0"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    names = {"predictions.csv", "predictions.html", "segments.csv", f"{video.stem}.vtt"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert len(pd.read_csv(tmp_path / "segments.csv")) == 1


@pytest.mark.slow
def test_a_killed_command_continues(run, videos, tmp_path):
    """Nothing can be cleaned up on this signal. Parts are of 32 videos, so there are many."""
    for number in range(70):
        shutil.copy(list(videos.values())[number % 3], tmp_path / f"{number:02}.mp4")
    command = [sys.executable, "-m", "clipfold.cli", "predict", run.bundle(FEATURES), tmp_path, "-o", "out.csv"]
    process = subprocess.Popen(
        [*map(str, command), "--no-page", "--workers", "1"],
        env=os.environ | {"PYTHONPATH": SOURCE},
        cwd=tmp_path,
    )
    parts = tmp_path / ".out.csv.parts"
    while not list(parts.glob("[!.]*.parquet")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    (first,) = parts.glob("[!.]*.parquet")
    # A mark in the part that is done shows whether it was used.
    table = read_table(first)
    place = table.schema.get_field_index("spread")
    write_table(first, table.set_column(place, "spread", pa.array([0.123] * table.num_rows)))
    done = run_command("predict", run.bundle(FEATURES), tmp_path, "-o", "out.csv", "--no-page", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out.csv")
    assert (table.spread == 0.123).tolist() == [True] * 32 + [False] * 38
    assert not parts.exists()


# The rest


@pytest.mark.slow
def test_bundles_are_kept_by_name_and_alias(run, tmp_path):
    added = {
        m: run_command("registry", "add", tmp_path / "kept", run.bundle(m)).stdout.split() for m in (FEATURES, CLIPS)
    }
    assert [name for _, name in added.values()] == [FEATURES, CLIPS]
    done = run_command("registry", "promote", tmp_path / "kept", CLIPS)
    assert done.stdout == f"{added[CLIPS][0]} cnn is now production\n", done.stderr
    head, *lines = run_command("registry", "list", tmp_path / "kept", "--sort", "roc_auc").stdout.splitlines()
    assert head.split() == ["ID", "ADDED", "NAME", "roc_auc", "ALIASES"]
    assert len(lines) == 2
    (line,) = (line for line in lines if line.endswith("production"))
    assert line.startswith(f"{added[CLIPS][0]}  20")
    assert run_command("registry", "show", tmp_path / "kept", "production").stdout.startswith("# cnn\n")
    fails("registry", "remove", tmp_path / "kept", "production", message="production")
    assert run_command("registry", "remove", tmp_path / "kept", FEATURES).stdout == f"removed {added[FEATURES][0]}\n"
    (tmp_path / "kept/registry.sqlite").unlink()
    fails("registry", "list", tmp_path / "kept", message="add a bundle, or rebuild it")
    assert run_command("registry", "rebuild", tmp_path / "kept").stdout == "1 bundles\n"
    assert len(run_command("registry", "list", tmp_path / "kept").stdout.splitlines()) == 2


@pytest.mark.slow
def test_an_alias_can_be_taken_away(run, tmp_path):
    identity = run_command("registry", "add", tmp_path / "kept", run.bundle(FEATURES)).stdout.split()[0]
    run_command("registry", "promote", tmp_path / "kept", FEATURES, "--alias", "staging")
    fails("registry", "unalias", tmp_path / "kept", "stagin", message="did you mean 'staging'?")
    done = run_command("registry", "unalias", tmp_path / "kept", "staging")
    assert done.stdout == f"{identity} {FEATURES} is no longer staging\n"
    assert run_command("registry", "remove", tmp_path / "kept", FEATURES).returncode == 0


@pytest.mark.slow
def test_a_bundle_whose_golden_test_fails_is_not_promoted(run, bundles, tmp_path):
    folder = shutil.copytree(bundles[FEATURES].folder, tmp_path / "changed")
    repack(folder, lambda facts: facts | {"threshold": 0.9})
    assert run_command("registry", "add", tmp_path / "kept", folder).returncode == 0
    fails("registry", "promote", tmp_path / "kept", FEATURES, message="threshold: expected")


@pytest.mark.slow
def test_drift_says_whether_to_worry(run, some):
    assert run_command("predict", run.bundle(FEATURES), "new", "-o", "out.csv", cwd=some).returncode == 0
    done = run_command("drift", run.bundle(FEATURES), "out.csv", cwd=some)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(":")[0] in ("none", "look", "worry")
    assert "Content-Security-Policy" in (some / "drift.html").read_text()


@pytest.mark.slow
def test_the_demo_is_made(tmp_path):
    assert run_command("demo", "made", "--sources", "2", cwd=tmp_path).stdout == "wrote made/videos.csv\n"
    assert len(pd.read_csv(tmp_path / "made/videos.csv")) == 8
