"""Test which outputs of a run are moved aside, and which files never are."""

import json
import os
import struct

import numpy as np
import pytest

from clipfold.storage.integrity import incomplete_lists, is_whole, move_aside, own_outputs, truncated_outputs


def judged(top, *names):
    return list(truncated_outputs(own_outputs([top / name for name in names], top)))


def test_only_outputs_are_judged_and_links_are_not_followed(tmp_path):
    top, outside = tmp_path / "results", tmp_path / "outside"
    (top / "report").mkdir(parents=True)
    outside.mkdir()
    for path in (top / "report/index.html", top / "report/mine.html", outside / "a.html", outside / "b.html"):
        path.write_text("<html>")
    (top / "evaluation").symlink_to(outside)
    (top / "report/linked.html").symlink_to(outside / "b.html")
    names = ["report/index.html", "evaluation/a.html", "report/linked.html", "report/missing.html"]
    assert judged(top, *names) == [top / "report/index.html"]


def test_results_may_be_on_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/a.html").write_text("<html>")
    (tmp_path / "results").symlink_to("disk")
    assert judged(tmp_path / "results", "a.html") == [tmp_path / "results/a.html"]


def test_a_file_is_moved_aside_beside_those_of_earlier_times(tmp_path):
    for content in ("one", "two"):
        (tmp_path / "a.json").write_text(content)
        move_aside(tmp_path / "a.json")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json.broken-1": "one", "a.json.broken-2": "two"}


HEADERS = {
    "no mapping": b"[1]",
    "no offsets": b'{"a": {}}',
    "offsets of text": b'{"a": {"data_offsets": ["x", "y"]}}',
    "nested": b"[" * 100_000,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_odd_headers_of_tensors_are_not_whole(tmp_path, header):
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert not is_whole(tmp_path / "a.safetensors")


def test_a_header_of_tensors_is_not_read_past_a_limit(tmp_path):
    with open(tmp_path / "a.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 1 << 40))
        file.truncate(1 << 41)  # takes no space on the disk
    assert not is_whole(tmp_path / "a.safetensors")


@pytest.mark.parametrize("header", ["[]", "{'descr': 3, 'shape': 4}", "(" * 900, "{'descr': '<f4', 'shape': ('a',)}"])
def test_odd_headers_of_arrays_are_not_whole(tmp_path, header):
    text = header.encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    assert not is_whole(tmp_path / "a.npy")


def test_whole_arrays_are_whole(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4), "f4"))
    assert is_whole(tmp_path / "a.npy")


def test_a_pipe_in_place_of_an_output_holds_nothing_up(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    assert judged(tmp_path, "a.npy") == [tmp_path / "a.npy"]


@pytest.mark.parametrize("odd", [b"[]", b"3", b'{"a": 3}', b'{"a": [1.5]}', b"{", b"\xff", b"[" * 100_000, None])
def test_odd_lists_are_incomplete(tmp_path, odd):
    path = tmp_path / "a.json"
    os.mkfifo(path) if odd is None else path.write_bytes(odd)
    assert list(incomplete_lists([path])) == [path]


def test_complete_lists_stay(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"clips": [str(path)]}))
    assert list(incomplete_lists([path])) == []
    path.write_text(json.dumps({"clips": [str(path), "gone"]}))
    assert list(incomplete_lists([path])) == [path]
