import gc
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.storage.files import ArrayWriter, open_array, read_table, write_table
from clipfold.storage.replace import replacing


@given(st.integers(0, 30), st.lists(st.integers(1, 4), max_size=3).map(tuple), st.sampled_from(["u1", "f4", "i8"]))
def test_an_array_comes_back_as_it_was_written(tmp_path_factory, rows, shape, dtype):
    path = tmp_path_factory.mktemp("array") / "a.npy"
    values = np.random.default_rng(0).integers(0, 100, (rows, *shape)).astype(dtype)
    with ArrayWriter(path, shape, dtype) as writer:
        assert [writer.append(value) for value in values] == list(range(rows))
    assert np.array_equal(open_array(path), values)
    assert np.array_equal(np.load(path), values)  # any reader of .npy files can read it


def test_zeros_at_the_end_of_rows_take_no_disk(tmp_path):
    rows = np.zeros((4, 64, 4096), np.uint8)
    rows[:, :8] = 7
    with ArrayWriter(tmp_path / "a.npy", rows.shape[1:], np.uint8) as writer:
        for row in rows:
            writer.append(row)
    assert np.array_equal(open_array(tmp_path / "a.npy"), rows)
    assert 512 * (tmp_path / "a.npy").stat().st_blocks < rows.nbytes / 4


def test_a_row_of_another_shape_or_type_is_refused(tmp_path):
    with ArrayWriter(tmp_path / "a.npy", (2,), np.uint8) as writer:
        with pytest.raises(ValueError, match=r"row is uint8\[3\], the array takes uint8\[2\]"):
            writer.append(np.zeros(3, np.uint8))
        with pytest.raises(ValueError, match="row is float64"):
            writer.append(np.zeros(2))


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    (tmp_path / "a.npy").write_text("before")
    with pytest.raises(ValueError, match="row is"), ArrayWriter(tmp_path / "a.npy", (2,), np.uint8) as writer:
        writer.append(np.zeros(3, np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    assert (tmp_path / "a.npy").read_text() == "before"


def test_leftovers_of_a_killed_writer_are_removed_and_it_can_no_longer_replace_the_file(tmp_path):
    path = tmp_path / "a[1].bin"
    orphan = replacing(path)
    orphan.__enter__().write(b"old")
    os.rename(next(tmp_path.glob(".a*part")), tmp_path / ".a[1].bin.1.part")  # as if from another process
    with replacing(path) as file:
        file.write(b"new")
    with pytest.raises(FileNotFoundError):
        orphan.__exit__(None, None, None)
    assert path.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_truncated_array_is_an_error(tmp_path):
    with ArrayWriter(tmp_path / "a.npy", (2,), np.uint8) as writer:
        writer.append(np.zeros(2, np.uint8))
    with open(tmp_path / "a.npy", "r+b") as file:
        file.truncate(128)
    with pytest.raises(ValueError, match="mmap length"):
        open_array(tmp_path / "a.npy")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"allow_pickle=False|Python objects"):
        open_array(tmp_path / "a.npy")


def test_the_same_table_has_the_same_bytes(tmp_path):
    import pyarrow as pa

    schema = pa.schema({"id": pa.string(), "x": pa.float64()})
    for name in ("a", "b"):
        write_table(tmp_path / name, [{"id": "ä", "x": 0.5}, {"id": "b"}], schema)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_table([tmp_path / "a", tmp_path / "b"], ["id"]).to_pylist() == [{"id": "ä"}, {"id": "b"}] * 2


def test_a_process_forked_while_another_thread_opens_an_array_opens_one_too(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros((3, 4)))
    stop = threading.Event()

    def keep_opening():
        while not stop.is_set():
            open_array(tmp_path / "array.npy")

    with ThreadPoolExecutor(2) as pool:
        pool.submit(keep_opening)
        try:
            for _ in range(30):
                child = multiprocessing.get_context("fork").Process(target=open_array, args=[tmp_path / "array.npy"])
                child.start()
                child.join(20)
                assert child.exitcode == 0
        finally:
            stop.set()
            if child.is_alive():
                child.kill()


def test_threads_open_arrays_at_once(tmp_path):
    class Litter:
        """Something that the collector finalises, and another thread takes over, while a header is parsed."""

        def __init__(self):
            self.itself = self

        def __del__(self):
            time.sleep(0)

    np.save(tmp_path / "array.npy", np.zeros((3, 4)))
    usual = gc.get_threshold()
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(4) as pool:
            opened = pool.map(lambda _: (Litter(), open_array(tmp_path / "array.npy"))[1], range(300))
            assert all(array.shape == (3, 4) for array in opened)
    finally:
        gc.set_threshold(*usual)
