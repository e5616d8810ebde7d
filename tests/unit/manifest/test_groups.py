"""Several groups per row: rows that share any value stay together."""

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.manifest.groups import components, grouping_notes, read_values, weakest_link
from clipfold.manifest.read import read_extras, read_manifest

ROWS = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=9
)


def manifest(folder, text):
    (folder / "videos.csv").write_text(text)
    return folder / "videos.csv"


def naive_parts(rows):
    """Join sets of values until none overlap."""
    parts = []
    for values in map(set, rows):
        near = [part for part in parts if part & values]
        parts = [part for part in parts if not part & values] + [values.union(*near)]
    return parts


@given(ROWS)
def test_components_are_those_of_joining_sets(rows):
    names = components(rows)
    assert {frozenset(part) for part in naive_parts(rows)} == {
        frozenset(value for value in names if names[value] == name) for name in names.values()
    }
    assert all(name == min(value for value in names if names[value] == name) for name in names.values())


def largest_without(rows, value):
    left = [tuple(each for each in values if each != value) for values in rows]
    names = components(left)
    return max(Counter(names[values[0]] if values else i for i, values in enumerate(left)).values())


@given(ROWS)
def test_the_weakest_link_is_the_one_that_trying_all_finds(rows):
    part = max(naive_parts(rows), key=len)
    rows = [values for values in rows if part.issuperset(values)]
    tried = {value: largest_without(rows, value) for value in part}
    value, left = weakest_link(rows)
    assert tried[value] == left == min(tried.values())


def test_cells_and_columns_hold_several_groups(tmp_path):
    videos = read_manifest(
        manifest(
            tmp_path, "path,label,group,group_1,group_2\na,x,000 ; 003,,\nb,y,,003,\nc,x,,,007\nd,y,008,,\ne,y,,,\n"
        )
    )
    assert [video.values for video in videos] == [("000", "003"), ("003",), ("007",), ("008",), ()]
    assert [video.group for video in videos] == ["000", "000", "007", "008", "e"]
    assert [video.grouped for video in videos] == [True, True, True, True, False]


def test_group_columns_follow_the_name_that_the_config_gives(tmp_path):
    path = manifest(tmp_path, "path,label,person_1,person_2,person_name,group\na,x,1,2,Ann,g\nb,y,2,3,Bob,g\n")
    videos = read_manifest(path, {"group": "person_1"})
    assert [video.values for video in videos] == [("1",), ("2",)]
    both = manifest(tmp_path, "path,label,person,person_2,person_name,group\na,x,1,2,Ann,g\nb,y,2,3,Bob,g\n")
    assert [video.group for video in read_manifest(both, {"group": "person"})] == ["1", "1"]
    assert [*read_extras(both, {"group": "person"})] == ["id", "person_name", "group (manifest)"]


def test_one_group_per_row_is_as_it_was(tmp_path):
    path = manifest(tmp_path, "path,label,group\na,x,Bea\nb,y,Ada\nc,y,\n")
    assert [video.group for video in read_manifest(path)] == ["Bea", "Ada", "c"]


def test_without_a_separator_a_cell_is_one_group(tmp_path):
    path = manifest(tmp_path, "path,label,group\na,x,one;two\nb,y,two\n")
    assert [video.group for video in read_manifest(path)] == ["one", "one"]
    assert [video.group for video in read_manifest(path, separator="")] == ["one;two", "two"]


def test_values_are_checked_as_names(tmp_path):
    with pytest.raises(ValueError, match="differ only in case"):
        read_manifest(manifest(tmp_path, "path,label,group\na,x,Ann;Bob\nb,y,bob\n"))
    assert read_values(["; a ;;A b\u200b;a"], ";") == ("a", "A b")


def test_a_giant_group_is_named_with_the_value_that_chains_it():
    pairs = [(f"{n}", f"{n + 1}") for n in range(0, 40, 2)]
    assert grouping_notes(pairs) == (
        "40 values of group make 20 groups, since rows that share a value stay together",
        "",
    )
    said, warning = grouping_notes([(*pair, "studio") for pair in pairs])
    assert said.startswith("41 values of group make 1 groups")
    assert "20 of 20 rows are in one group" in warning
    assert "without 'studio' the largest group of these would have 1 rows" in warning


def test_a_chain_without_a_weak_link_names_its_commonest_values():
    _, warning = grouping_notes([(f"{a}", f"{b}") for a in range(6) for b in range(a)])
    assert "they chain through many values, of which '" in warning


def test_one_large_group_that_chains_nothing_is_no_warning():
    assert grouping_notes([("a",)] * 9 + [("b", "c")])[1] == ""
    assert grouping_notes([("a",), ("a",), ()]) == ("", "")


def test_a_long_chain_is_searched_in_linear_time():
    started = time.monotonic()
    _, left = weakest_link([(str(n), str(n + 1)) for n in range(50_000)])
    assert left == 25_000
    assert time.monotonic() - started < 20
