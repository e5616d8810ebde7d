import re

import numpy as np
import pytest
from helpers.made_up_inputs import CLASSES, pair, with_distances

from clipfold.delivery.drift import drift
from clipfold.delivery.drift_page import write_drift_page

NASTY = "<script>alert('1')</script>&\"'.mp4"


def made(path, shift=0.0, **columns):
    training, new = pair(0, (40, 2), (40, 2))
    new["input.brightness"] += shift
    write_drift_page(
        drift(*with_distances(training, new.assign(**columns)), CLASSES), path, "/models/svm", "/home/anna/new.parquet"
    )
    return path.read_text("utf-8")


@pytest.mark.parametrize(("shift", "heading"), [(0, "No drift found"), (80, "Worry: these videos are unlike")])
def test_the_first_screen_says_whether_to_worry_and_why(tmp_path, shift, heading):
    header = re.search("<header.*?</header>", made(tmp_path / "page.html", shift), re.DOTALL)[0]
    assert heading in header
    assert ("Brightness differs clearly" in header) == bool(shift)
    assert "80 new videos in <code>new.parquet</code> against 80 training videos of <code>svm</code>" in header


def test_it_names_no_folder_of_the_machine(tmp_path):
    ids = [f"/home/anna/{'ab'[i % 2]}/{i}.mp4" for i in range(80)]
    page = made(tmp_path / "page.html", 80, id=ids)
    assert "anna" not in page
    assert str(tmp_path) not in page
    assert re.search(r">[ab]/\d+\.mp4<", page)


def test_a_hostile_name_is_only_a_name(tmp_path):
    page = made(tmp_path / "page.html", 80, id=[f"{i} {NASTY}" for i in range(80)], label=NASTY)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page


def test_it_says_what_it_assumes_of_videos_without_groups(tmp_path):
    training, new = with_distances(*pair(0, (40, 2), (40, 2)))
    assumption = "p-values assume that they are independent"
    for table, told in ((new, False), (new.drop(columns="group"), True)):
        write_drift_page(drift(training, table, CLASSES), tmp_path / "page.html", "svm", "new")
        assert (assumption in (tmp_path / "page.html").read_text("utf-8")) == told


def test_missing_values_are_dashes(tmp_path):
    training, new = with_distances(*pair(0, (40, 2), (40, 2)))
    unknown = new.assign(**{"input.motion": np.nan, "distance": np.nan})
    write_drift_page(drift(training, unknown, CLASSES), tmp_path / "page.html", "svm", "new")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert ">nan" not in page
    assert "No distance is known." in page
    assert ">\N{EN DASH}</td>" in page
