"""Test bad, odd and hostile files: each gets its status, and none affects another."""

from pathlib import Path

import pytest
from helpers.corpus.make import make_corpus
from helpers.corpus.spoil import damaged

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import open_array, read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

SETTINGS = DecodeSettings(size=32, views={"clips": {"kind": "uniform", "frames": 4}})


def run_shard(paths: dict[str, str], folder: Path) -> list[dict[str, object]]:
    """Probe and decode files as one shard, as the rules do, and return the index."""
    probe_shard(paths, folder / "metadata.parquet", ProbeSettings(), workers=2)
    index, clips = folder / "index.parquet", folder / "clips.npy"
    decode_shard(paths, folder / "metadata.parquet", {"clips": clips}, index, SETTINGS, workers=2)
    table = read_table(index).to_pylist()
    usable = [row for row in table if row["row"] is not None]
    assert [row["id"] for row in table] == list(paths)  # rows in = usable + quarantined
    assert all(row["row"] is not None for row in table if row["status"] == "ok")
    assert [row["row"] for row in usable] == list(range(len(open_array(clips))))
    assert all(row["reason"] for row in table if row["row"] is None)
    return table


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.slow
def test_every_file_gets_its_status(corpus, tmp_path):
    named = {case.name: case for case in corpus if case.name.isprintable()}
    assert len(named) > 150
    table = run_shard({name: str(case.path) for name, case in named.items() if _storable(case)}, tmp_path)
    # Duplicates are found later, when the splits see all shards.
    wrong = [row for row in table if row["status"] not in named[row["id"]].expected]
    assert wrong == []


@pytest.mark.slow
def test_500_damaged_files_neither_crash_nor_hang_nor_vanish(corpus, tmp_path):
    kinds = {}
    for case in corpus:
        if case.expected == {"ok"} and Path(case.path).is_file():
            kinds.setdefault(Path(case.path).suffix, Path(case.path))
    assert kinds.keys() > {".mp4", ".mkv", ".avi", ".webm", ".ts", ".mov"}
    paths = {f"good{suffix}": str(good) for suffix, good in kinds.items()}
    for seed in range(500):
        suffix, good = list(kinds.items())[seed % len(kinds)]
        path = tmp_path / f"{seed}{suffix}"
        path.write_bytes(damaged(good.read_bytes(), seed))
        paths[str(seed)] = str(path)
    table = run_shard(paths, tmp_path)
    assert {row["status"] for row in table[: len(kinds)]} == {"ok"}
    assert {row["status"] for row in table} >= {"ok", "unreadable", "truncated", "corrupt"}
    assert {row["status"] for row in table} & {"crashed", "timeout"} == set()


def _storable(case) -> bool:
    """Check that the path is UTF-8: a manifest with any other name is refused as a whole."""
    try:
        str(case.path).encode()
    except UnicodeEncodeError:
        return False
    return True
