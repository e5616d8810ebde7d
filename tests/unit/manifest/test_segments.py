"""Rows with `start` and `end`: what they may hold, and what they are called."""

import csv

import pytest

from clipfold.manifest.read import read_extras, read_manifest, read_splits
from clipfold.manifest.shards import shard_videos


def write(folder, *rows, header="path,label,start,end"):
    with open(folder / "m.csv", "w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return folder / "m.csv"


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("0", 0),
        ("62.5", 62.5),
        (".5", 0.5),
        ("1e-05", 1e-5),
        ("1:02.5", 62.5),
        ("01:01:02.500", 3662.5),
        ("0:01:02,500", 62.5),
        ("90:00", 5400),
    ],
)
def test_times_are_seconds_or_a_clock(tmp_path, cell, seconds):
    first, second = read_manifest(write(tmp_path, ["a.mp4", "x", cell, ""], ["b.mp4", "y", "", "99:00"]))
    assert (first.start, first.end, second.start, second.end) == (seconds, None, None, 5940)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("soon", "", r"m\.csv, row 2, start is 'soon': write seconds \(62\.5\) or hh:mm:ss\.mmm .* rename it"),
        ("2024-05-01 10:00", "", "columns: {start: NAME}, or '' if there is none"),
        ("12,5", "", "row 2, start is '12,5': write seconds"),
        ("00:01:02:12", "", "row 2, start is '00:01:02:12'"),
        ("1:75", "", "row 2, start is '1:75'"),
        ("inf", "", "row 2, start is 'inf'"),
        ("-1", "5", "row 2, start is '-1': use 0 or more seconds"),
        ("", "-1", "row 2, end is '-1': .*or leave the cell empty"),
        ("5", "5", "row 2, end is '5': use an end after the start, which is 5 s"),
        ("5", "4", "row 2, end is '4': use an end after the start"),
        ("", "0", "row 2, end is '0': use an end after the start, which is 0 s"),
    ],
)
def test_other_times_are_named_with_their_row_and_the_remedy(tmp_path, start, end, message):
    with pytest.raises(ValueError, match=message):
        read_manifest(write(tmp_path, ["a.mp4", "x", start, end]))


def test_segments_have_ids_of_their_times_and_the_group_of_their_file(tmp_path):
    rows = [["v/a.mp4", "x", "1.5", "0:20"], ["./v/a.mp4", "y", "20", ""], ["b.mp4", "y", "", ""]]
    a, b, whole = read_manifest(write(tmp_path, *rows))
    assert [v.id for v in (a, b, whole)] == ["v/a.mp4@1.5-20", "./v/a.mp4@20-end", "b.mp4"]
    assert (a.group, b.group, a.grouped, a.file, b.file) == ("v/a.mp4", "v/a.mp4", False, "v/a.mp4", "v/a.mp4")
    assert (whole.group, whole.file, whole.source) == ("b.mp4", "", "b.mp4")


def test_a_group_of_the_manifest_comes_first(tmp_path):
    rows = [["a.mp4", "x", "0", "1", "anna"], ["a.mp4", "x", "1", "2", ""], ["a.mp4", "x", "", "", ""]]
    given, own, whole = read_manifest(write(tmp_path, *rows, header="path,label,start,end,group"))
    assert [(v.group, v.grouped) for v in (given, own, whole)] == [("anna", True), ("a.mp4", False), ("a.mp4", False)]


def test_the_same_segment_twice_needs_ids(tmp_path):
    with pytest.raises(ValueError, match=r"row 3: id 'a\.mp4@0-1' is also the id of row 2"):
        read_manifest(write(tmp_path, ["a.mp4", "x", "0", "1"], ["a.mp4", "x", "0.0", "1.0"]))


def test_overlaps_with_other_labels_stop_with_both_rows(tmp_path):
    rows = [["a.mp4", "x", "0", "10"], ["a.mp4", "x", "2", "4"], ["b.mp4", "y", "3", "5"], ["a.mp4", "y", "9.5", "12"]]
    message = r"rows 2 \('x'\) and 5 \('y'\) share 9\.5 s to 10 s of 'a\.mp4'; change their times"
    with pytest.raises(ValueError, match=message):
        read_manifest(write(tmp_path, *rows))
    rows[3][2] = "10"
    assert len(read_manifest(write(tmp_path, *rows))) == 4
    whole = [["a.mp4", "y", "", ""], ["a.mp4", "x", "5", "6"]]
    with pytest.raises(ValueError, match=r"rows 2 \('y'\) and 3 \('x'\) share 5 s to 6 s"):
        read_manifest(write(tmp_path, *whole))
    assert len(read_manifest(write(tmp_path, *whole), labelled=False)) == 2


def test_many_overlaps_are_counted(tmp_path):
    rows = [["a.mp4", "x", "0", "100"], *(["a.mp4", "y", str(i), str(i + 1)] for i in range(9))]
    with pytest.raises(ValueError, match="; and 4 more; change their times"):
        read_manifest(write(tmp_path, *rows))


def test_columns_are_mapped_as_in_the_lists_of_kinetics(tmp_path):
    table = write(tmp_path, ["a.mp4", "x", "3", "13"], header="path,label,time_start,time_end")
    (video,) = read_manifest(table, {"start": "time_start", "end": "time_end"})
    assert (video.start, video.end, video.id) == (3, 13, "a.mp4@3-13")
    with pytest.raises(ValueError, match="no column 'begin' for start"):
        read_manifest(table, {"start": "begin"})


@pytest.mark.parametrize("columns", [{"start": "", "end": ""}, {"group": "start", "end": ""}])
def test_columns_that_are_no_times_can_be_named_so(tmp_path, columns):
    table = write(tmp_path, ["a.mp4", "x", "Berlin", "Rome"])
    with pytest.raises(ValueError, match="start is 'Berlin'"):
        read_manifest(table)
    (video,) = read_manifest(table, columns)
    assert (video.id, video.start, video.file) == ("a.mp4", None, "")
    assert "end (manifest)" in read_extras(table, columns)


def test_further_columns_and_splits_go_by_the_same_ids(tmp_path):
    header = "path,label,start,end,split,place"
    rows = [
        ["a.mp4", label, str(i), str(i + 1), split, "hall"]
        for i, (label, split) in enumerate([("x", "train"), ("y", "train"), ("x", "test"), ("y", "test")])
    ]
    table = write(tmp_path, *rows, header=header)
    ids = [video.id for video in read_manifest(table)]
    assert read_extras(table)["id"] == ids
    assert list(read_splits(table)) == ids


def test_a_file_is_in_one_shard_and_whole_files_stay_where_they_were(tmp_path):
    names = [f"{i}.mp4" for i in range(40)]
    whole = read_manifest(write(tmp_path, *([n, "x", "", ""] for n in names)))
    cut = read_manifest(
        write(tmp_path, *([n, "x", "", ""] for n in names), *(["long.mp4", "x", str(i), str(i + 1)] for i in range(30)))
    )
    shards = {name: [v.id for v in rows] for name, rows in shard_videos(cut, 16).items()}
    holding = [name for name, ids in shards.items() if any(i.startswith("long") for i in ids)]
    assert len(holding) == 1
    assert sum(map(len, shards.values())) == 70
    before = {name: [v.id for v in rows] for name, rows in shard_videos(whole, 16).items()}
    assert [n for n, ids in before.items() if shards.get(n) != ids] in ([], *([each] for each in before))


def test_more_segments_than_a_shard_takes_are_one_shard(tmp_path):
    videos = read_manifest(
        write(tmp_path, *(["a.mp4", "x", str(i), str(i + 1)] for i in range(9)), ["b.mp4", "y", "", ""])
    )
    assert sorted(map(len, shard_videos(videos, 2).values())) == [1, 9]
