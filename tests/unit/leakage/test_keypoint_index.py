"""The index of keypoints finds what comparing each with each finds, however it was written, whatever was done."""

import numpy as np
import pytest

from clipfold.leakage import keypoint_index
from clipfold.leakage.forms import formed, learn_directions
from clipfold.leakage.keypoint_index import FILES, Index
from clipfold.leakage.keypoints import CHANGES, KEYPOINT, ORDERS, changed
from clipfold.leakage.words import rooted

VIDEOS, EACH = 40, 12


@pytest.fixture
def videos():
    random = np.random.default_rng(0)
    found = np.zeros(VIDEOS * EACH, KEYPOINT)
    found["video"], found["size"] = np.repeat(np.arange(VIDEOS), EACH), 8
    found["x"], found["y"] = random.uniform(10, 100, (2, len(found)))
    found["descriptor"] = random.integers(0, 256, (len(found), 128))
    found["descriptor"][-EACH:] = found["descriptor"][:EACH]  # the last video shows the first
    return found


def written(videos, folder):
    files = {kind: folder / kind for kind in FILES}
    half = np.flatnonzero(videos["video"] == VIDEOS // 2)[0]
    second = videos[half:].copy()
    second["video"] -= VIDEOS // 2
    Index.write([videos[:half], second], [VIDEOS // 2, VIDEOS // 2], files)
    return files


def test_similar_keypoints_are_those_that_a_comparison_of_all_finds(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(keypoint_index, "_NEAR", 60)
    index = Index(written(videos, tmp_path))
    asked = videos[5 * EACH : 6 * EACH]
    ours = index._vocabulary.read(asked["descriptor"], keypoint_index._WORDS, doubtful=True)
    theirs = index._vocabulary.read(videos["descriptor"], 1)
    expected = set()
    for i, row in enumerate(ours.row):
        for word, signature in zip(ours.words[i], ours.signatures[i], strict=True):
            bits = np.bitwise_count(theirs.signatures[:, 0] ^ signature).sum(axis=1)
            near = (theirs.words[:, 0] == word) & (bits <= 60) & (videos["video"] > 5)
            change = ours.change[i] ^ theirs.change[near]
            places = zip(videos["video"][near], videos["x"][near].astype(np.float16), change, strict=True)
            expected |= {(row, *place) for place in places}
    found = index.similar(asked, 5)
    places = zip(found.place["video"], found.place["x"], found.change, strict=True)
    assert {(row, *place) for row, place in zip(found.asked, places, strict=True)} == expected
    assert len(expected) > EACH


@pytest.mark.parametrize("first", [1, 7, VIDEOS - 1])
def test_an_index_without_the_first_videos_finds_the_same_later_ones(first, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(keypoint_index, "_NEAR", 60)
    files = written(videos, tmp_path)
    asked = videos[:EACH]
    whole, later = (index.similar(asked, first - 1) for index in (Index(files), Index(files, first)))
    order = [np.lexsort((each.number, each.asked)) for each in (whole, later)]
    assert [column[order[1]].tolist() for column in later] == [column[order[0]].tolist() for column in whole]
    assert len(whole.asked)
    left = Index(files, first).similar(asked, -1)
    earlier = np.unique(left.number[left.place["video"] < first], return_counts=True)
    words = Index(files)._vocabulary.size
    assert len(earlier[0]) <= words  # one of each word, since two are left out at a time


def test_a_copy_is_found_by_one_look_up_whatever_was_done_to_it(videos, tmp_path):
    index = Index(written(videos, tmp_path))
    for change in range(len(CHANGES)):
        found = index.similar(changed(videos[:EACH], 112, change), 0)
        copies = found.place["video"] == VIDEOS - 1
        assert sorted(set(found.asked[copies])) == list(range(EACH)), CHANGES[change]
        assert set(found.change[copies]) == {change}


def test_runs_and_parts_change_no_byte_of_an_index(videos, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    monkeypatch.setattr(keypoint_index, "SAMPLE", 100)
    written(videos, whole)
    monkeypatch.setattr(keypoint_index, "_RUN", 2)
    written(videos, parts)
    assert len(videos) > 2 * 200, "several runs"
    for kind in FILES:
        assert (parts / kind).read_bytes() == (whole / kind).read_bytes(), kind
    assert sorted(path.name for path in parts.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("harm", ["short", "words", "order"])
def test_an_index_whose_files_do_not_fit_is_refused(harm, videos, tmp_path):
    files = written(videos, tmp_path)
    lists, start = (np.load(files[kind]) for kind in ("lists", "start"))
    if harm == "order":
        start[1] = -1000
    for kind, array in (
        ("lists", lists[:-24] if harm == "short" else lists),
        ("start", start[:-1] if harm == "words" else start),
    ):
        with files[kind].open("wb") as file:
            np.save(file, array)
    with pytest.raises(ValueError, match="do not belong to this index"):
        Index(files)


def test_the_form_of_a_point_is_the_same_after_each_change():
    points = rooted(np.random.default_rng(0).integers(0, 256, (500, 128)).astype(np.uint8))
    directions = learn_directions(points)
    shared = formed(points, directions, doubtful=False)
    assert (shared.row == np.arange(500)).all()
    for change, order in enumerate(ORDERS):
        again = formed(points[:, order], directions, doubtful=False)
        assert (again.points == shared.points).all()
        assert (again.change == (shared.change ^ change)).all()
    more = formed(points, directions, doubtful=True)
    assert len(more.row) > 600
    sure = np.bincount(more.row) == 1
    assert sure.sum() > 50
    assert (more.change[sure[more.row]] == shared.change[sure]).all()


@pytest.mark.parametrize("shards", [[], [np.zeros(0, KEYPOINT)]])
def test_among_videos_without_keypoints_none_is_found(shards, videos):
    assert not len(Index.build(shards, [3] * len(shards)).similar(videos[:EACH], -1).asked)
