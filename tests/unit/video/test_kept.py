"""Content that was probed and decoded once is taken from the cache by any run, and never when anything else changed."""

import shutil

import numpy as np
import pytest
from helpers.corpus.movies import movie

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.cache import Cache
from clipfold.storage.files import read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

VIEWS = {"clips": {"kind": "uniform", "frames": 4}, "motion": {"kind": "luma", "rate": 8.0, "frames": 6, "size": 16}}


@pytest.fixture
def videos(tmp_path):
    """Return name -> path of six videos of different content."""
    paths = {f"{i}.mkv": tmp_path / "videos" / f"{i}.mkv" for i in range(6)}
    paths["0.mkv"].parent.mkdir()
    for number, path in enumerate(paths.values()):
        path.write_bytes(movie(path, frames=12 + number))
    return paths


def run(folder, paths, cache, views=VIEWS, segments=None, probe=None):
    """Probe and decode a shard; return the rows of the index and the arrays."""
    files = {name: str(path) for name, path in paths.items()}
    settings = DecodeSettings(size=32, views=views)
    arrays = {name: folder / f"{name}.npy" for name in views}
    probe_shard(files, folder / "metadata.parquet", probe or ProbeSettings(), 2, segments=segments, cache=cache)
    decode_shard(files, folder / "metadata.parquet", arrays, folder / "index.parquet", settings, 2, cache=cache)
    rows = read_table(folder / "index.parquet").to_pylist()
    return {row["id"]: row for row in rows}, {name: np.load(file) for name, file in arrays.items()}


def decoded(rows):
    """List the videos of which frames were decoded."""
    return [name for name, row in rows.items() if row["decoded"]]


def without_counts(rows):
    return {name: {key: value for key, value in row.items() if key != "decoded"} for name, row in rows.items()}


def test_a_second_experiment_decodes_nothing_and_gets_the_same(videos, tmp_path):
    cache = Cache(tmp_path / "cache", "")
    plain, views = run(tmp_path / "plain", videos, None)
    first, _ = run(tmp_path / "first", videos, cache)
    assert decoded(first) == [*videos]
    elsewhere = {name: shutil.copy(path, tmp_path / f"moved {name}") for name, path in videos.items()}
    second, kept = run(tmp_path / "second", elsewhere, cache)
    assert decoded(second) == []
    assert without_counts(second) == without_counts(plain)
    assert all(np.array_equal(kept[name], views[name]) for name in views)
    left_out = ("stamp",)
    tables = [read_table(tmp_path / run / "metadata.parquet").drop_columns(left_out) for run in ("plain", "second")]
    assert tables[0].equals(tables[1])


def test_added_videos_alone_are_decoded(videos, tmp_path):
    cache = Cache(tmp_path / "cache", "")
    some = {name: videos[name] for name in [*videos][:4]}
    run(tmp_path / "first", some, cache)
    grown, _ = run(tmp_path / "second", videos, cache)
    assert decoded(grown) == ["4.mkv", "5.mkv"]


def test_other_content_under_the_same_name_is_decoded(videos, tmp_path):
    cache = Cache(tmp_path / "cache", "")
    run(tmp_path / "first", videos, cache)
    videos["2.mkv"].write_bytes(movie(videos["2.mkv"], frames=20))
    rows, views = run(tmp_path / "second", videos, cache)
    assert decoded(rows) == ["2.mkv"]
    assert np.array_equal(views["clips"], run(tmp_path / "plain", videos, None)[1]["clips"])


@pytest.mark.parametrize("change", ["view", "code", "limit"])
def test_other_settings_or_code_decode_again(videos, tmp_path, change):
    run(tmp_path / "first", videos, Cache(tmp_path / "cache", "1"))
    views = VIEWS | {"clips": {"kind": "uniform", "frames": 5}} if change == "view" else VIEWS
    probe = ProbeSettings(min_frames=14) if change == "limit" else None
    cache = Cache(tmp_path / "cache", "2" if change == "code" else "1")
    rows, _ = run(tmp_path / "second", videos, cache, views, probe=probe)
    assert decoded(rows) == ([] if change == "limit" else [*videos])
    assert [name for name, row in rows.items() if row["status"] == "too_short"] == (
        ["0.mkv", "1.mkv"] if change == "limit" else []
    )


def test_draws_differ_between_copies_of_one_content(videos, tmp_path):
    views = {"clips": {"kind": "random_start", "frames": 2, "stride": 1}}
    cache = Cache(tmp_path / "cache", "")
    copies = {"a": videos["5.mkv"], "b": videos["5.mkv"], "c": videos["5.mkv"]}
    rows, _ = run(tmp_path / "first", copies, cache, views)
    plain, _ = run(tmp_path / "plain", copies, None, views)
    assert without_counts(rows) == without_counts(plain)
    assert decoded(run(tmp_path / "second", copies, cache, views)[0]) == []


def test_new_segments_of_a_file_alone_are_decoded(videos, tmp_path):
    cache = Cache(tmp_path / "cache", "")
    file = videos["5.mkv"]
    times = {"a": (0.0, 0.2), "b": (0.2, 0.4), "c": (0.4, None)}

    def segments(names):
        return {name: ("5.mkv", *times[name]) for name in names}

    first, _ = run(tmp_path / "first", {"a": file, "b": file}, cache, segments=segments("ab"))
    assert decoded(first) == ["a", "b"]
    second, views = run(tmp_path / "second", dict.fromkeys("abc", file), cache, segments=segments("abc"))
    assert decoded(second) == ["c"]
    plain, expected = run(tmp_path / "plain", dict.fromkeys("abc", file), None, segments=segments("abc"))
    assert without_counts(second) == without_counts(plain)
    for name, row in second.items():
        assert np.array_equal(views["clips"][row["row"]], expected["clips"][plain[name]["row"]])


def test_what_cannot_be_used_stays_so(videos, tmp_path):
    videos["3.mkv"].write_bytes(videos["3.mkv"].read_bytes()[:-400])
    videos["4.mkv"].write_text("no video")
    videos["5.mkv"].unlink()
    cache = Cache(tmp_path / "cache", "")
    plain, _ = run(tmp_path / "plain", videos, None)
    run(tmp_path / "first", videos, cache)
    second, _ = run(tmp_path / "second", videos, cache)
    assert without_counts(second) == without_counts(plain)
    assert {row["status"] for row in second.values()} >= {"ok", "truncated", "unreadable", "missing"}
