"""Odd records of earlier runs are ignored, each with one warning."""

import os

import pytest

from clipfold.storage import records
from clipfold.storage.records import parse_json, read_or_ignore

ODD = {
    "cut": b'{"a": 1',
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "other text": b"\xff\xfe",
    "nested": b"[" * 100_000,
    "no mapping": b"[]",
    "key missing": b"{}",
    "empty": b"",
}


def parse(content):
    return parse_json(content)["a"]


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_odd_content_is_ignored(tmp_path, caplog, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_or_ignore(tmp_path / "a.json", parse) is None
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [f"{tmp_path / 'a.json'} is ignored"]


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)], ids=["pipe", "dir", "loop"]
)
def test_what_is_no_file_is_ignored_without_waiting(tmp_path, caplog, make):
    make(tmp_path / "a.json")
    assert read_or_ignore(tmp_path / "a.json", parse) is None
    assert len(caplog.records) == 1


def test_a_huge_file_is_not_read(tmp_path, caplog):
    (tmp_path / "a.json").touch()
    os.truncate(tmp_path / "a.json", records.LIMIT + 1)
    assert read_or_ignore(tmp_path / "a.json", parse) is None
    assert "larger than" in caplog.text


def test_a_missing_record_is_no_oddity(tmp_path, caplog):
    assert read_or_ignore(tmp_path / "a.json", parse) is None
    assert not caplog.records


def test_a_good_record_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 5}')
    assert read_or_ignore(tmp_path / "a.json", parse) == 5
