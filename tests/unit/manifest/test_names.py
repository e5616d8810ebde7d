import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.manifest.names import check_case, check_printable, plain

SAME = {
    "decomposed": unicodedata.normalize("NFD", "André B"),
    "two blanks": "André  B",
    "no-break space": "André\u00a0B",
    "em space": "André\u2003B",
    "tab": "André\tB",
    "zero width": "André B\u200b",
    "soft hyphen": "An\u00addré B",
    "byte order mark": "\ufeffAndré B",
    "right-to-left mark": "André B\u200f",
    "variation selector": "André B\ufe0f",
    "blanks around": " André B ",
}


@pytest.mark.parametrize("name", SAME.values(), ids=list(SAME))
def test_names_that_look_the_same_are_the_same(name):
    assert plain(name) == "André B"


@given(st.text())
def test_a_plain_name_stays_as_it_is(name):
    assert plain(plain(name)) == plain(name)


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\x00b", "a\x7f", "\ud800"])
def test_control_characters_are_an_error(name):
    with pytest.raises(ValueError, match="remove the control characters"):
        check_printable("row 2, label", name)


def test_a_name_may_be_long_but_not_endless():
    check_printable("label", "x" * 1000)
    with pytest.raises(ValueError, match=r"label is 'x{40}…': 1001 characters: use at most 1000"):
        check_printable("label", "x" * 1001)


def test_names_that_differ_only_in_case_are_an_error():
    check_case("label", [("real", "row 2"), ("fake", "row 3"), ("real", "row 4")])
    with pytest.raises(ValueError, match=r"label is 'Straße' in row 2 and 'STRASSE' in row 9, .* the same way"):
        check_case("label", [("Straße", "row 2"), ("STRASSE", "row 9")])
