"""Videos are recognised by their content, wherever and whenever they lie."""

import os

import pytest

from clipfold.manifest.contents import Content, content_keys, read_contents, recognise, stamp, write_contents
from clipfold.manifest.read import Video
from clipfold.storage.hashing import file_digest


@pytest.fixture
def probed(tmp_path):
    """A video, and the record that probing it left."""
    file = tmp_path / "a.mp4"
    file.write_bytes(b"frames")
    record = tmp_path / "contents/0-of-1.json"
    first = stamp(str(file))
    write_contents(record, {"a": Content(first, first, file_digest(file))})
    return file, record


def found(path, record):
    """The key of the video at `path`, as a run finds it."""
    videos = [Video("a", str(path), "real", "a")]
    recognised = recognise({"0-of-1": videos}, lambda shard: record)
    return content_keys(videos, recognised.get("0-of-1") or read_contents(record))["a"]


def test_a_touched_file_keeps_its_key(probed, capsys):
    file, record = probed
    first = stamp(str(file))
    os.utime(file, ns=(1, 1))
    assert stamp(str(file)) != first
    assert found(file, record) == first
    assert "1 videos were moved or touched" in capsys.readouterr().err


def test_a_moved_copy_keeps_its_key(probed, tmp_path):
    file, record = probed
    first = stamp(str(file))
    copy = tmp_path / "b.mp4"
    copy.write_bytes(file.read_bytes())
    os.utime(copy, ns=(1, 1))
    assert found(copy, record) == first


@pytest.mark.parametrize("content", [b"other!", b"longer than before"])
def test_other_content_has_another_key(probed, content):
    file, record = probed
    first = stamp(str(file))
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))
    assert found(file, record) == stamp(str(file)) != first


def test_a_file_that_is_not_there_is_missing_and_found_again(probed):
    file, record = probed
    first = stamp(str(file))
    kept = file.rename(file.with_suffix(".away"))
    assert found(file, record) == "missing"
    kept.rename(file)
    assert found(file, record) == first


def test_once_recognised_a_file_is_not_read_again(probed, capsys):
    file, record = probed
    os.utime(file, ns=(1, 1))
    videos = [Video("a", str(file), "real", "a")]
    for shard, contents in recognise({"0-of-1": videos}, lambda shard: record).items():
        assert shard == "0-of-1"
        write_contents(record, contents)
    capsys.readouterr()
    assert recognise({"0-of-1": videos}, lambda shard: record) == {}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 3}', '{"a": {"key": 1, "stamp": "", "digest": ""}}', "null"])
def test_a_record_that_makes_no_sense_is_ignored(tmp_path, text, caplog):
    record = tmp_path / "0-of-1.json"
    record.write_text(text)
    assert read_contents(record) == {}
    assert str(record) in caplog.text or text == "[]"
