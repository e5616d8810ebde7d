import os
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clipfold.storage.cache import Cache, Entry, measure, parse_size, trim

ENTRY = Entry({"status": "ok", "times": [0.1, 0.2], "lost": float("nan")}, {"clips": np.arange(12).reshape(3, 4)})


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", "code 1")


def test_an_entry_comes_back_as_it_was(cache):
    path = cache.path(digest="a", size=112)
    assert cache.read(path) is None
    cache.write(path, ENTRY)
    found = cache.read(path)
    assert found.facts["times"] == [0.1, 0.2]
    assert np.isnan(found.facts["lost"])
    np.testing.assert_array_equal(found.arrays["clips"], ENTRY.arrays["clips"])


def test_other_content_settings_or_code_have_other_entries(cache):
    other = Cache(cache.folder, "code 2")
    paths = {cache.path(digest="a", size=1), cache.path(digest="b", size=1), cache.path(digest="a", size=2)}
    assert len(paths | {other.path(digest="a", size=1)}) == 4
    assert cache.path(size=1, digest="a") in paths


@pytest.mark.parametrize("damage", ["cut", "changed", "packed", "objects", "text"])
def test_a_damaged_entry_is_ignored_with_a_warning(cache, damage, caplog):
    path = cache.path(digest="a")
    cache.write(path, ENTRY)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        at = whole.index(ENTRY.arrays["clips"].tobytes()) + 8
        path.write_bytes(whole[:at] + b"\x07" + whole[at + 1 :])
    elif damage == "packed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("facts.npy", bytes(1_000_000))
    elif damage == "objects":
        np.savez(path, facts=np.array([print], dtype=object))
    else:
        path.write_text("not an entry")
    assert cache.read(path) is None
    assert "is ignored" in caplog.text


def test_a_cache_that_cannot_be_written_to_stops_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file", "")
    cache.write(cache.path(digest="a"), ENTRY)
    assert "is not kept" in caplog.text


def test_writers_at_once_leave_one_whole_entry(cache):
    path = cache.path(digest="a")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.write(path, ENTRY), range(40)))
    assert cache.read(path).facts["status"] == "ok"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_trimming_removes_what_was_not_used_for_longest(cache):
    paths = [cache.path(digest=str(i)) for i in range(4)]
    for age, path in enumerate(paths):
        cache.write(path, ENTRY)
        os.utime(path, (1e9 - age, 1e9 - age))
    stranger = paths[0].parent / "notes.txt"
    stranger.write_text("mine")
    cache.read(paths[3])  # used now
    size = paths[0].stat().st_size
    assert measure(cache.folder).entries == 4
    assert measure(cache.folder).size == 4 * size
    assert trim(cache.folder, 2 * size) == 2 * size
    assert [path.exists() for path in paths] == [True, False, False, True]
    trim(cache.folder, 0)
    assert measure(cache.folder).entries == 0
    assert stranger.exists()


def test_a_missing_folder_and_an_odd_size_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        measure(tmp_path / "none")
    for text in ("much", "-1GB", "nan", "GB", "infGB"):
        with pytest.raises(ValueError, match="such as 500MB"):
            parse_size(text)
