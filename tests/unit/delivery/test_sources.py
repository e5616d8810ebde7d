"""Videos are found as users name them, each once and none twice under one name."""

import io

import pytest

from clipfold.delivery.sources import find_videos


def find(*names, stdin=""):
    return find_videos(map(str, names), io.StringIO(stdin))


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "a b,c.MKV", "käse/deep/ü.webm", "notes.txt", ".hidden.mp4.part", "käse/x.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_all_videos_below_it_in_order(folder):
    wanted = [str(folder / name) for name in ("a b,c.MKV", "b.mp4", "käse/deep/ü.webm")]
    assert [*find(folder).paths.items()] == [(path, path) for path in wanted]


def test_links_to_folders_are_not_followed(folder):
    (folder / "käse/up").symlink_to(folder)
    assert len(find(folder).paths) == 3


def test_a_folder_without_videos_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"folder is .*: no videos below it: \.3gp"):
        find(tmp_path)


def test_files_are_taken_whatever_they_are(tmp_path):
    """Whether it is a video says its status."""
    assert find("gone.mp4", tmp_path / "notes").paths.keys() == {"gone.mp4", str(tmp_path / "notes")}


def test_a_list_on_standard_input_has_a_path_per_line():
    assert [*find("-", stdin="a b.mp4\n\nc,d.mp4\r\n ü.mp4 \n").paths] == ["a b.mp4", "c,d.mp4", " ü.mp4 "]


def test_a_video_that_is_named_twice_is_taken_once(folder):
    assert len(find(folder, folder / "b.mp4", folder, "-", stdin=f"{folder}/b.mp4\n").paths) == 3


def test_a_table_gives_ids_labels_and_groups(folder):
    (folder / "videos.csv").write_text("path,label,group,id\nb.mp4,calm,one,first\ngone.mp4,,,second\n")
    found = find(folder / "videos.csv", folder / "a b,c.MKV")
    assert found.paths == {
        "first": str(folder / "b.mp4"),
        "second": str(folder / "gone.mp4"),
        str(folder / "a b,c.MKV"): str(folder / "a b,c.MKV"),
    }
    assert (found.labels, found.groups) == ({"first": "calm"}, {"first": "one"})


def test_a_table_needs_no_labels(folder):
    (folder / "videos.csv").write_text("path\nb.mp4\n")
    assert find(folder / "videos.csv").labels == {}


def test_two_videos_of_one_name_are_an_error(folder):
    """Else one of them would have no row."""
    for place in ("käse", "other"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / "videos.csv").write_text("path\nclip.mp4\n")
    with pytest.raises(ValueError, match=r"id of .*other/clip\.mp4 is 'clip\.mp4': .*käse/clip\.mp4 has it"):
        find(folder / "käse/videos.csv", folder / "other/videos.csv")


def test_a_table_that_cannot_be_read_is_an_error(folder):
    (folder / "bad.csv").write_text("file\nb.mp4\n")
    with pytest.raises(ValueError, match="has no column 'path'"):
        find(folder / "bad.csv")


def test_a_name_that_no_table_can_hold_is_an_error(folder):
    (folder / "k\udce4se.mp4").touch()  # a name in Latin-1
    with pytest.raises(ValueError, match=r"k\\udce4se\.mp4.*: its name is not UTF-8: rename it"):
        find(folder)
