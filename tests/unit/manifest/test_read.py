import csv
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.manifest.read import (
    Video,
    find_manifest,
    missing_files,
    read_extras,
    read_manifest,
    read_splits,
)
from clipfold.manifest.shards import capacity, group_shards, shard_videos
from clipfold.splits.feasibility import check_enough, count_folds
from clipfold.storage.hashing import stable_hash

ODD_NAMES = ["a b.mp4", "c,d.mp4", 'e"f.mp4', "g#h.mp4", "i%20j.mp4", "käse.mp4", "{k}.mp4", "l'm.mp4", "~n.mp4"]


def write_csv(path: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def videos(ids):
    return [Video(i, f"{i}.mp4", "a", i) for i in ids]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_reads_odd_file_names_from_every_kind_of_manifest(tmp_path, suffix):
    manifest = tmp_path / f"videos{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"path": ODD_NAMES, "label": ["x"] * len(ODD_NAMES)}), manifest)
    else:
        delimiter = "\t" if suffix == ".tsv" else ","
        write_csv(manifest, [["path", "label"], *([name, "x"] for name in ODD_NAMES)], delimiter)
    read = read_manifest(manifest)
    assert [video.id for video in read] == ODD_NAMES
    assert [video.path for video in read] == [str(tmp_path / name) for name in ODD_NAMES]
    assert all(video.group == video.id for video in read)


def test_maps_columns_and_keeps_id_and_group(tmp_path):
    header = ["video_path", "class", "key", "scene"]
    manifest = write_csv(tmp_path / "m.csv", [header, ["a.mp4", "fight", "v1", "s1"]])
    columns = {"path": "video_path", "label": "class", "id": "key", "group": "scene"}
    assert read_manifest(manifest, columns) == [Video("v1", str(tmp_path / "a.mp4"), "fight", "s1")]


def test_blanks_around_a_cell_are_not_part_of_it_but_in_the_path_they_are(tmp_path):
    rows = [["path", " label", "group "], [" a .mp4", "fake ", " g"], ["b.mp4", "fake", "g"]]
    first, second = read_manifest(write_csv(tmp_path / "m.csv", rows))
    assert first == Video(" a .mp4", str(tmp_path / " a .mp4"), "fake", "g")
    assert (second.label, second.group) == ("fake", "g")


def test_nan_in_parquet_is_an_empty_cell(tmp_path):
    pq.write_table(
        pa.table({"path": ["a", "b"], "label": ["x", "y"], "group": [float("nan"), 1.0]}), tmp_path / "m.parquet"
    )
    assert [(video.group, video.grouped) for video in read_manifest(tmp_path / "m.parquet")] == [
        ("a", False),
        ("1.0", True),
    ]


def test_rows_are_counted_as_an_editor_shows_them(tmp_path):
    (tmp_path / "m.csv").write_text('path,label,note\n\na,x,"two\nlines"\n\nb,x,\n,x,\n')
    with pytest.raises(ValueError, match="row 7, path is ''"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize("text", ['a,x,"too dark\nb,y,\nc,y,\n', 'a,x,"too dark\nb,y,fine\nc,y,"odd"\n'])
def test_a_stray_quote_swallows_no_rows(tmp_path, text):
    (tmp_path / "m.csv").write_text("path,label,notes\n" + text)
    with pytest.raises(ValueError, match=r"m\.csv, row 2, cannot be read .*: close each quote"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["path", "label"]], "number of rows is 0: add a row"),
        ([["path", "label", "label"], ["a", "x", "y"]], "has more than one column 'label': rename or remove one"),
        (
            [["path", "label", "id", "group"], ["a", "x", "9", ""], ["b", "x", "1", "9"]],
            "row 2 has no group, and its id '9' is the group of other rows: fill in the cell",
        ),
        (
            [["file", "label"], ["a", "x"]],
            "no column 'path' for path, only file, label: add it, or give its name in the config",
        ),
        ([["path", "label"], ["a", "x"], ["b", ""], ["c", " "]], "rows without label is 2: that is most of 3: fill in"),
        ([["path", "label"], ["a", "x"], ["b", "x"], ["a", "y"]], "row 4: id 'a' is also the id of row 2"),
        ([["path", "label"], ["a", "x", "extra"]], "row 2: more cells than the header has"),
    ],
)
def test_errors_name_the_row_or_column_and_the_remedy(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_manifest(write_csv(tmp_path / "m.csv", rows))


def test_a_column_that_the_config_maps_has_to_be_there(tmp_path):
    manifest = write_csv(tmp_path / "m.csv", [["path", "label"], ["a", "x"]])
    with pytest.raises(ValueError, match="no column 'scene' for group"):
        read_manifest(manifest, {"group": "scene"})


def test_a_manifest_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"path,label\nk\xe4se.mp4,x\n")
    with pytest.raises(ValueError, match="not UTF-8 at byte 12"):
        read_manifest(tmp_path / "m.csv")


def test_manifest_is_looked_for_in_the_folders_in_turn(tmp_path):
    (tmp_path / "second").mkdir()
    (tmp_path / "second/m.csv").touch()
    assert find_manifest("m.csv", [tmp_path, tmp_path / "second"]) == tmp_path / "second/m.csv"
    with pytest.raises(ValueError, match="no such file, looked in"):
        find_manifest("n.csv", [tmp_path])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("1", "x", "1"), ("2", "x", "2")], "label is 'x' in every row"),
        (
            [(str(i), "xy"[i % 2], str(i % 3)) for i in range(12)],
            "splits.folds is 5: use at most 3, the number of groups",
        ),
        ([(str(i), "x", str(i)) for i in range(9)] + [("y", "y", "y")], r"label 'y' is in 1 group\(s\) only \(y\)"),
    ],
)
def test_too_little_to_split_is_an_error(rows, message):
    with pytest.raises(ValueError, match=message):
        check_enough([Video(i, i, label, group) for i, label, group in rows], 5)


ids = st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=1, max_size=60)


@given(ids, st.integers(1, 20))
def test_shards_hold_every_video_once_and_no_more_than_their_capacity(names, capacity):
    shards = shard_videos(videos(names), capacity)
    assert sorted(video.id for shard in shards.values() for video in shard) == sorted(names)
    assert all(1 <= len(shard) <= capacity for shard in shards.values())
    for name, shard in shards.items():
        k, modulus = map(int, name.split("-of-"))
        assert {stable_hash(video.source) % modulus for video in shard} == {k}
    assert shards == shard_videos(videos(reversed(names)), capacity)


@given(ids, st.text(min_size=9, max_size=10), st.integers(2, 20))
def test_adding_a_video_changes_one_shard_or_splits_it(names, new, capacity):
    before, after = shard_videos(videos(names), capacity), shard_videos(videos([*names, new]), capacity)
    changed = [name for name in before if before[name] != after.get(name)]
    assert len(changed) <= 1


@given(ids, st.text(min_size=9, max_size=10), st.integers(1, 5))
def test_groups_hold_every_shard_once_and_a_new_video_changes_one_of_them(names, new, most):
    before, after = (shard_videos(videos(some), 2) for some in (names, [*names, new]))
    groups, later = group_shards(before, most), group_shards(reversed(after), most)
    assert sorted(shard for group in groups.values() for shard in group) == sorted(before)
    assert all(1 <= len(group) <= most for group in groups.values())
    assert all(group == [name] for name, group in groups.items() if len(group) == 1)
    assert len([name for name in groups if groups[name] != later.get(name)]) <= 1


def test_a_group_of_no_shards_is_refused():
    with pytest.raises(ValueError, match=r"embed\.shards is 0: use 1 or more"):
        group_shards(["0-of-1"], 0)


def test_shards_are_larger_where_there_would_be_too_many_unless_their_size_is_set():
    assert [capacity(videos, 0) for videos in (1, 250_000, 250_001, 10**6)] == [256, 256, 1024, 1024]
    assert capacity(10**6, 256) == 256


def test_an_empty_half_makes_no_shard():
    assert list(shard_videos(videos("a"), 1)) == ["0-of-1"]
    with pytest.raises(ValueError, match="shard_size is 0"):
        shard_videos(videos("a"), 0)


def test_extra_columns_are_sorted_by_the_same_ids_as_the_videos(tmp_path):
    header, rows = (
        ["file", "label", "site", "group", "id", "take"],
        [["b", "x", "s 1", "g", "", "2"], ["a", "y", "", "g", "z", "1"]],
    )
    manifest = write_csv(tmp_path / "videos.csv", [header, *rows])
    assert read_extras(manifest, {"path": "file"}) == {"id": ["b", "z"], "site": ["s 1", ""], "take": ["2", "1"]}
    backwards = write_csv(tmp_path / "backwards.csv", [header, *rows[::-1]])
    assert read_extras(backwards, {"path": "file"}) == read_extras(manifest, {"path": "file"})
    assert [v.id for v in read_manifest(manifest, {"path": "file"})] == ["b", "z"]


def test_a_manifest_without_extra_columns_has_no_extras(tmp_path):
    assert read_extras(write_csv(tmp_path / "videos.csv", [["path", "label", "group"], ["a", "x", "g"]])) == {}


def test_roles_of_the_manifest_are_read_by_id(tmp_path):
    rows = [["path", "label", "part"], *([f"{c}{r}", c, r] for c in "ab" for r in ("train", "test"))]
    splits = read_splits(write_csv(tmp_path / "m.csv", rows), {"split": "part"})
    assert splits == {"atrain": "train", "atest": "test", "btrain": "train", "btest": "test"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["path", "label"], ["a", "x"]], r"no column 'split' for split \(splits.scheme is column\), only path, label"),
        ([["path", "label", "split"], ["a", "x", "dev"]], "row 2, split is 'dev': use one of train, val, test"),
        (
            [["path", "label", "split"], ["a", "x", "train"], ["b", "y", "train"], ["c", "x", "test"]],
            "no row with label 'y' has 'test' in split",
        ),
        ([["path", "label", "split"], ["a", "x", "train"], ["b", "x", "test"]], "label is 'x' in every row"),
    ],
)
def test_a_wrong_split_column_is_named(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_splits(write_csv(tmp_path / "m.csv", rows))


def test_the_number_of_folds_follows_from_the_scheme():
    rows = [Video(f"v{i}", f"v{i}", "ab"[i % 2], f"g{i % 7}") for i in range(28)]
    counts = {s: count_folds(rows, s, 3, 2) for s in ("grouped", "stable", "random", "leave_one_group_out", "column")}
    assert counts == {"grouped": 6, "stable": 6, "random": 6, "leave_one_group_out": 14, "column": 1}
    with pytest.raises(ValueError, match=r"splits.folds is 8: use at most 7, the number of groups"):
        count_folds(rows, "grouped", 8, 1)
    assert count_folds(rows, "random", 8, 1) == 8
    with pytest.raises(ValueError, match="it needs a column group in the manifest"):
        count_folds([Video(v.id, v.path, v.label, v.id) for v in rows], "leave_one_group_out", 3, 1)


def test_labels_groups_and_ids_are_compared_as_a_person_reads_them(tmp_path):
    rows = [["path", "label", "group"], ["a", "r\u00e9el", "X  Y"], ["b", "re\u0301el", "X\u00a0Y\u200b"]]
    first, second = read_manifest(write_csv(tmp_path / "m.csv", rows))
    assert (first.label, first.group) == (second.label, second.group) == ("r\u00e9el", "X Y")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "Real", "", ""], ["b", "real", "", ""]], "label is 'Real' in row 2 and 'real' in row 3, which differ"),
        (
            [["a", "x", "G", ""], ["b", "x", "g", ""]],
            "group is 'G' in row 2 and 'g' in row 3, which differ only in case",
        ),
        ([["a", "x", "", "V"], ["b", "x", "", "v"]], "id is 'V' in row 2 and 'v' in row 3, which differ only in case"),
        ([["a", "x\x1b[2J", "", ""]], r"row 2, label is .* remove the control characters"),
        ([["a\nb", "x", "", ""]], r"row 2, path \(the id, as there is no other\) is 'a\\nb': remove the control"),
        ([["e\u0301", "x", "", ""], ["\u00e9", "x", "", ""]], "row 3: id '\u00e9' is also the id of row 2"),
        ([[r"C:\videos\a.mp4", "x", "", ""]], r"a path of Windows: use / and"),
        ([[r"videos\a.mp4", "x", "", ""]], "a path of Windows: use / and paths relative to the manifest"),
        ([["D:/a.mp4", "x", "", ""]], "a path of Windows: use / and paths relative to the manifest"),
    ],
)
def test_names_that_nobody_can_tell_apart_are_errors(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_manifest(write_csv(tmp_path / "m.csv", [["path", "label", "group", "id"], *rows]))


def test_paths_that_differ_only_in_case_are_two_videos(tmp_path):
    assert len(read_manifest(write_csv(tmp_path / "m.csv", [["path", "label"], ["A", "x"], ["a", "x"]]))) == 2


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_is_found_in_the_other_normal_form(tmp_path, form, other):
    there = unicodedata.normalize(form, "vidéos/käse.mp4")
    (tmp_path / there).parent.mkdir()
    (tmp_path / there).touch()
    written = unicodedata.normalize(other, there)
    (video,) = read_manifest(write_csv(tmp_path / "m.csv", [["path", "label"], [written, "x"]]))
    assert (video.path, video.id) == (str(tmp_path / there), "vidéos/käse.mp4")
    assert missing_files([video], tmp_path) == []


def test_missing_files_are_listed(tmp_path):
    (tmp_path / "a").touch()
    read = read_manifest(write_csv(tmp_path / "m.csv", [["path", "label"], ["a", "x"], ["b", "x"], ["s3://c/d", "x"]]))
    assert missing_files(read, tmp_path) == [str(tmp_path / "b")]


def test_columns_with_one_name_are_an_error_at_planning(tmp_path):
    manifest = write_csv(tmp_path / "m.csv", [["file", "label"], ["a", "x"]])
    with pytest.raises(ValueError, match=r"columns\.group is 'label': this is the column for label too"):
        read_manifest(manifest, {"path": "file", "group": "label"})


def test_a_further_column_may_have_the_name_of_a_renamed_one(tmp_path):
    manifest = write_csv(tmp_path / "m.csv", [["path", "class", "label", "dusk"], ["a", "x", "old", "yes"]])
    assert read_extras(manifest, {"label": "class"}) == {"id": ["a"], "label (manifest)": ["old"], "dusk": ["yes"]}
