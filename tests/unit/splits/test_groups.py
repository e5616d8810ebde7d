"""Test the groups: duplicates, groups of the manifest, proposed groups."""

import pytest

from clipfold.splits.groups import find_pattern, join, resolve_groups


def videos(*rows):
    return [{"id": i, "source": i, "group": g or None, "digest": d or i} for i, g, d in rows]


def test_duplicates_merge_their_groups():
    rows = videos(("1", "d", "x"), ("2", "c", "x"), ("3", "b", ""), ("4", "a", "x"))
    groups, facts = resolve_groups(rows, [], merge=False, least=9)
    assert groups == ["a", "a", "b", "a"]
    assert facts["source"] == "manifest"


def test_near_duplicates_join_videos_without_a_group_only_unless_asked_for_all():
    rows = videos(("1", "g", ""), ("2", "h", ""), ("3", "", ""), ("4", "", ""), ("5", "", ""))
    pairs = [("1", "2"), ("2", "3"), ("4", "5"), ("1", "not used")]
    groups, facts = resolve_groups(rows, pairs, merge=False, least=9)
    assert groups == ["g", "3", "3", "4", "4"]
    assert (facts["source"], facts["count"], facts["joined"], facts["by_picture"]) == ("both", 3, 3, 3)
    assert resolve_groups(rows, pairs, merge=True, least=9)[0] == ["3", "3", "3", "4", "4"]


def test_an_id_that_looks_like_a_group_is_none():
    rows = videos(*((str(i), str(i % 3), "") for i in range(9)))
    groups, facts = resolve_groups(rows, [("0", "1")], merge=False, least=2)
    assert groups == [row["group"] for row in rows]
    assert facts["source"] == "manifest"


def test_each_video_may_be_a_group_of_its_own_whatever_its_name():
    rows = videos(*((f"person{i // 2}_{i % 2}", f"person{i // 2}_{i % 2}", "") for i in range(20)))
    groups, _ = resolve_groups(rows, [], merge=False, least=2)
    assert groups == [row["id"] for row in rows]


NAMES = {
    "name up to its last number": [f"videos/street {s} part{p}.mp4" for s in "abcdefghij" for p in (1, 2, 13)],
    "name up to its last separator": [
        f"{s}-{p}.mp4" for s in ("anna", "ben", "carl", "dora", "emil", "fay") for p in "xy"
    ],
    "folder": [
        f"{s}/{p}.mp4" for s in ("anna", "ben", "carl", "dora", "emil", "fay") for p in ("door", "window", "hall")
    ],
}


@pytest.mark.parametrize("pattern", NAMES)
def test_a_naming_pattern_is_found_with_its_evidence(pattern):
    ids = NAMES[pattern]
    found, named, evidence = find_pattern(ids, [], least=5)
    assert found == pattern
    assert len(set(named.values())) == len(
        {i[: -len("1.mp4")].rstrip("13") if pattern.endswith("number") else named[i] for i in ids}
    )
    assert evidence["pairs_within"] is None
    within = [(ids[0], ids[1])]
    assert find_pattern(ids, within, least=5)[2]["pairs_within"] == 1
    across = [(ids[0], ids[-1])]
    assert find_pattern(ids, across, least=5)[0] != pattern


@pytest.mark.parametrize(
    "ids",
    [
        [f"fight/fi{i:03}.mp4" for i in range(40)],  # numbered throughout, a folder per class
        [f"{name}.mp4" for name in "abcdefghijkl"],
        [f"{i}/{i}.mp4" for i in range(20)],
    ],
)
def test_names_that_tell_no_recordings_apart_make_no_groups(ids):
    assert find_pattern(ids, [], least=5) == ("", {}, {"pairs_within": None, "by_chance": None})


def test_joining_does_not_depend_on_the_order_of_links():
    links = [("d", "c"), ("b", "d"), ("e", "f"), ("c", "e")]
    assert join("abcdef", links) == join("abcdef", links[::-1]) == dict(zip("abcdef", "abbbbb", strict=True))


def test_segments_without_a_group_go_with_their_file_and_with_what_their_file_goes_with():
    def segment(id, source, group=None):
        return {"id": id, "source": source, "group": group, "digest": id}

    rows = [segment("1", "cam1.mp4"), segment("2", "cam1.mp4"), segment("3", "cam2.mp4"), segment("4", "cam2.mp4", "g")]
    groups, facts = resolve_groups(rows, [], merge=False, least=9)
    assert groups == ["cam1.mp4", "cam1.mp4", "cam2.mp4", "g"]
    assert (facts["source"], facts["joined"]) == ("both", 2)
    groups, facts = resolve_groups(rows, [("1", "2"), ("2", "3")], merge=False, least=9)
    assert groups == ["cam1.mp4", "cam1.mp4", "cam1.mp4", "g"]
    assert facts["by_picture"] == 3


def test_names_of_files_not_times_of_segments_show_recordings():
    sources = [
        f"{place}_part{part}.mp4" for place in ("hall", "door", "yard", "roof", "shop", "road") for part in (1, 2)
    ]
    rows = [
        {"id": f"{source}@{start}-{start + 2.5}", "source": source, "group": None, "digest": f"{source}{start}"}
        for source in sources
        for start in range(4)
    ]
    groups, facts = resolve_groups(rows, [], merge=False, least=4)
    assert facts["pattern"] == "name up to its last number"
    assert len(set(groups)) == 6
