"""Test the column `fps`, which existing tables may have for something else."""

import pytest

from clipfold.manifest.rates import rates_of, read_rate
from clipfold.manifest.read import read_extras, read_manifest


def read(tmp_path, text, columns=None):
    (tmp_path / "videos.csv").write_text(text)
    return read_manifest(tmp_path / "videos.csv", columns)


def test_rates_are_numbers_or_fractions():
    assert (read_rate("", "25"), read_rate("", "30000/1001"), read_rate("", "")) == (25.0, 30000 / 1001, None)
    for cell in ("0", "-1", "1/0", "nan", "1e9", "fast", "25 fps", "99999"):
        with pytest.raises(ValueError, match=r"row 2, fps is .* leave it empty for probe.fps"):
            read_rate("row 2, fps", cell)


def test_a_column_of_rates_belongs_to_the_videos_and_stays_a_fact(tmp_path):
    text = "path,label,fps\na,x,10\nb,y,\n"
    assert rates_of(read(tmp_path, text)) == {"a": 10.0}
    assert read_extras(tmp_path / "videos.csv")["fps (manifest)"] == ["10", ""]


def test_the_advice_about_a_column_that_is_something_else_leads_out(tmp_path):
    text = "path,label,fps\na,x,yes\nb,y,no\n"
    with pytest.raises(ValueError, match="the config can say so"):
        read(tmp_path, text)
    assert rates_of(read(tmp_path, text, {"fps": ""})) == {}
    assert read_extras(tmp_path / "videos.csv", {"fps": ""})["fps (manifest)"] == ["yes", "no"]
