"""Single cells of a table, as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.table.cells import KINDS, READERS, date, number, read_cell, reads


@given(st.floats(-1e100, 1e100))
def test_every_way_that_python_writes_a_number_is_read(value):
    assert number(repr(value)) == value


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null", "None", "?", "inf", "-Infinity", "1e308", "1e999"])
def test_missing_infinite_and_overflowing_numbers_are_missing(text):
    assert math.isnan(number(text))


@pytest.mark.parametrize("text", ["1_000", "0x10", "=1+1", "٣", "1,5", "12 cm", "--1", "1e", "True"])
def test_what_python_or_a_spreadsheet_would_take_for_a_number_is_none(text):
    assert not reads("number", text)


@pytest.mark.parametrize(("text", "days"), [("2024-01-31", 19753), ("2024-01-31T12:00Z", 19753.5), ("", math.nan)])
def test_dates_are_days(text, days):
    assert date(text) == days or math.isnan(days)


@pytest.mark.parametrize("text", ["2024-13-01", "31.01.2024", "2024-1-1", "2024-01-31 nonsense"])
def test_other_dates_are_none(text):
    assert not reads("date", text)


@given(st.sampled_from(sorted(READERS)), st.text(max_size=12))
def test_any_text_is_read_or_refused(kind, text):
    if reads(kind, text):
        assert isinstance(read_cell(kind, text), float)


def test_a_category_is_the_same_whatever_its_blanks():
    assert read_cell("category", " dark\u00a0 blue ") == "dark blue"
    assert "category" in KINDS
