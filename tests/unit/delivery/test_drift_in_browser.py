"""Open the page of drift in a real browser, on a desktop and on a phone."""

import pytest
from helpers.browser import CHROMIUM, CONTRAST, Browser
from helpers.made_up_inputs import CLASSES, pair, with_distances

from clipfold.delivery.drift import drift
from clipfold.delivery.drift_page import write_drift_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """One page of videos of another camera with long names, one of few videos without groups."""
    folder = tmp_path_factory.mktemp("pages")
    training, new = pair(0, (40, 3), (30, 3))
    other = new.assign(**{"input.width": 1920.0, "input.brightness": 30.0}, id=new["id"] + "long" * 40)
    other.loc[:8, "status"] = "truncated"
    few = pair(1, new=(6, 1))[1].drop(columns="group")
    for name, table in (("worry.html", other), ("none.html", few)):
        found = drift(*with_distances(training, table), CLASSES)
        assert found.verdict == name.removesuffix(".html")
        write_drift_page(found, folder / name, "svm", "new.parquet")
    return folder


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.mark.parametrize("name", ["worry.html", "none.html"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (820, False), (390, True), (320, False)])
def test_it_opens_without_errors_requests_nothing_and_fits(browser, pages, name, width, dark):
    browser.open(pages / name, width=width, height=800, phone=width < 800, dark=dark)
    browser.run("scrollTo(0, document.body.scrollHeight)")
    assert browser.problems == []
    assert [a for a in browser.requests if not a.startswith("data:")] == [(pages / name).resolve().as_uri()]
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("document.scripts.length") == 0
    assert browser.run(CONTRAST)[0] >= 4.5


@pytest.mark.parametrize("width", [1280, 390])
def test_the_verdict_and_its_reason_are_on_the_first_screen(browser, pages, width):
    browser.open(pages / "worry.html", width=width, height=800, phone=width < 800)
    bottom = browser.run("document.querySelector('.lead').getBoundingClientRect().bottom")
    assert bottom < 800
    assert "Width and brightness differ clearly" in browser.run("document.querySelector('.lead').innerText")


def test_every_input_has_a_picture(browser, pages):
    browser.open(pages / "worry.html")
    sizes = browser.run(
        "[...document.querySelectorAll('.bars svg')].map((svg) => svg.getBoundingClientRect())"
        ".map((box) => [box.width, box.height])"
    )
    assert len(sizes) == 13
    assert all(width > 150 and height > 30 for width, height in sizes)
