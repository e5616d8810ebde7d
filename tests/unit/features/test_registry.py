"""Each feature group is listed once; a new one is one file and one line."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import clipfold
from clipfold.features.extract import extract_shard, shown_views, video_features
from clipfold.features.registry import GROUPS, VIEWS
from clipfold.storage.files import read_table, write_table

PROBED = {
    "width": 40,
    "height": 30,
    "fps": 25.0,
    "duration": 2.0,
    "frames": 50,
    "bitrate": None,
    "size_bytes": 6000,
    "has_audio": False,
    "rotation": 0,
    "vfr": False,
    "codec": "h264",
    "encoder": None,
}
FILE = '''"""A toy: the number of frames and the largest value."""

COLUMNS = {"frames": "number", "largest": "grey levels"}


def features(frames):
    return {"frames": float(len(frames)), "largest": float(frames.max())}
'''
LINE = '    "toy": Group("clipfold.features.toy", view="clips"),\n'
PROGRAM = """
import sys
from clipfold.features.extract import extract_shard
from clipfold.features.registry import VIEWS
from clipfold.models.entries import plan_models
from clipfold.models.reference import reference

folder = sys.argv[1]
arrays = {view: f"{folder}/{view}.npy" for view in VIEWS}
extract_shard(f"{folder}/metadata.parquet", f"{folder}/index.parquet", arrays, f"{folder}/toy.parquet")
plan_models([{"architecture": "svm", "features": ["toy"]}], largest_size=1, most_frames=1)
print(next(line for line in reference().splitlines() if line.startswith("| `toy`")))
try:
    plan_models([{"architecture": "svm", "features": ["toi"]}], largest_size=1, most_frames=1)
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """A decoded shard of two usable videos and one that is not."""
    folder = tmp_path_factory.mktemp("shard")
    random = np.random.default_rng(0)
    shapes = {"clips": (2, 4, 32, 32, 3), "motion": (2, 8, 24, 24), "native": (2, 2, 4, 24, 24)}
    for name, shape in shapes.items():
        np.save(folder / f"{name}.npy", random.integers(0, 256, shape, np.uint8))
    row = {"clips_box": [4, 0, 24, 32], "motion_box": [3, 0, 18, 24], "native_box": [5, 6, 20, 24]}
    rows = [
        {
            "id": f"v{i}",
            "row": i,
            "motion_frames": list(range(8 - i)),
            "motion_times": [t / 9 for t in range(8 - i)],
            **row,
        }
        for i in range(2)
    ]
    write_table(folder / "index.parquet", pa.Table.from_pylist([*rows, {"id": "lost", "row": None}]))
    write_table(folder / "metadata.parquet", pa.Table.from_pylist([{"id": r["id"], **PROBED} for r in rows]))
    return folder


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_declares_every_column_with_its_unit(name):
    module = importlib.import_module(GROUPS[name].module)
    assert module.COLUMNS
    assert all(module.COLUMNS.values())


def test_a_shard_has_every_column_of_every_group_in_their_order(shard):
    extract_shard(
        shard / "metadata.parquet",
        shard / "index.parquet",
        {view: shard / f"{view}.npy" for view in VIEWS},
        shard / "features.parquet",
    )
    table = read_table(shard / "features.parquet")
    columns = [f"{name}.{c}" for name, group in GROUPS.items() for c in importlib.import_module(group.module).COLUMNS]
    assert table.column_names == ["id", *columns]
    assert table["id"].to_pylist() == ["v0", "v1"]


def test_one_video_has_the_same_features_without_a_shard(shard):
    extract_shard(
        shard / "metadata.parquet",
        shard / "index.parquet",
        {view: shard / f"{view}.npy" for view in VIEWS},
        shard / "features.parquet",
    )
    expected = read_table(shard / "features.parquet").to_pylist()[1]
    row = read_table(shard / "index.parquet").to_pylist()[1]
    views = shown_views({view: np.load(shard / f"{view}.npy")[1] for view in VIEWS}, row)
    assert {name: views[name].shape for name in VIEWS} == {
        "clips": (4, 24, 32, 3),
        "motion": (7, 18, 24),
        "native": (2, 4, 20, 24),
    }
    np.testing.assert_equal({"id": "v1"} | video_features(PROBED, views), expected)


def test_one_group_needs_only_its_own_view():
    assert video_features({}, {"motion": np.full((2, 3, 4), 9, np.uint8)}, ["brightness"]) == {"brightness.mean": 9}


def test_hash_seeds_and_threads_change_no_bit(shard, tmp_path):
    def extracted(name, **environment):
        arrays = ", ".join(f"{view}={str(shard / view) + '.npy'!r}" for view in VIEWS)
        program = f"""
import cv2
from clipfold.features.extract import extract_shard
cv2.setNumThreads({environment["OMP_NUM_THREADS"]})
extract_shard({str(shard / "metadata.parquet")!r}, {str(shard / "index.parquet")!r}, dict({arrays}), {name!r})
"""
        subprocess.run([sys.executable, "-c", program], env=os.environ | environment, cwd=tmp_path, check=True)
        return (tmp_path / name).read_bytes()

    first = extracted("first", PYTHONHASHSEED="0", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert extracted("second", PYTHONHASHSEED="7", OMP_NUM_THREADS="4", OPENBLAS_NUM_THREADS="4") == first


def test_columns_that_are_not_declared_are_refused(monkeypatch):
    from clipfold.features import brightness

    monkeypatch.setattr(brightness, "COLUMNS", {"median": "grey levels"})
    with pytest.raises(ValueError, match="features: brightness: columns differ from COLUMNS in mean, median"):
        video_features({}, {"motion": np.zeros((2, 3, 4), np.uint8)}, ["brightness"])


def test_a_new_group_is_one_file_and_one_line(shard, tmp_path):
    package = shutil.copytree(Path(clipfold.__file__).parent, tmp_path / "src/clipfold")
    (package / "features/toy.py").write_text(FILE)
    registry = package / "features/registry.py"
    before, start, after = registry.read_text().partition("GROUPS: Mapping[str, Group] = {\n")
    registry.write_text(before + start + LINE + after)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-c", PROGRAM, str(shard)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    in_reference, error = done.stdout.splitlines()[-2:]
    assert in_reference == "| `toy` | clips | A toy: the number of frames and the largest value |"
    assert error.startswith("models: svm: features is ['toi']: use one or more of toy, brightness")
    table = read_table(shard / "toy.parquet")
    assert table["toy.frames"].to_pylist() == [4.0, 4.0]
    assert "motion.speed_mean" in table.column_names
