"""Use the report in a real browser, with a mouse, a keyboard, a phone screen and a printer."""

import json

import pytest
from helpers.browser import CHROMIUM, CONTRAST, Browser
from helpers.made_up_run import NASTY, write_run

from clipfold.report.write import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed"),
]
COLUMN = "[...document.querySelectorAll('#models tbody tr')].map((row) => row.cells[1].dataset.value)"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("run"))
    write_report(run)
    return run.output


@pytest.fixture(scope="module")
def running():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(running, path):
    running.open(path)
    return running


@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_errors_and_requests_nothing(running, path, dark):
    running.open(path, dark=dark)
    running.run("document.querySelectorAll('details').forEach((part) => { part.open = true })")
    running.run("scrollTo(0, document.body.scrollHeight)")
    assert running.problems == []
    assert [address for address in running.requests if not address.startswith("data:")] == [path.resolve().as_uri()]
    assert running.run("[...document.images].every((image) => !image.complete || image.naturalWidth > 0)")
    lightness = running.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (lightness < 60) is dark


def test_a_network_request_would_be_noticed(browser):
    """A request by the page would be refused by the browser and noticed by the tests."""
    browser.run("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/pixel' }))")
    browser.run("new Promise((done) => setTimeout(done, 300))")
    assert any("Content Security Policy" in problem for problem in browser.problems)


def test_a_click_on_a_column_sorts_by_it(browser):
    given = [float(v) for v in browser.run(COLUMN)]
    head = "document.querySelectorAll('#models thead th')[1]"
    browser.run(f"{head}.querySelector('button').click()")
    assert [float(v) for v in browser.run(COLUMN)] == sorted(given, reverse=True)
    browser.run(f"{head}.querySelector('button').click()")
    assert [float(v) for v in browser.run(COLUMN)] == sorted(given)
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "ascending"


def test_the_keyboard_reaches_and_operates_everything(browser):
    browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "Skip to the comparison"
    browser.press("Enter")
    reached = []
    for _ in range(12):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.textContent.trim() || document.activeElement.type"))
    assert "search" in reached
    browser.run("document.querySelectorAll('#models thead button')[0].focus()")
    for key, sort in (("Enter", "ascending"), (" ", "descending")):
        browser.press(key)
        assert browser.run("document.activeElement.closest('th').getAttribute('aria-sort')") == sort
    models = browser.run("[...document.querySelectorAll('#models tbody th')].map((head) => head.textContent)")
    assert models == sorted(models, reverse=True)
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.run(outline) == "solid"


def test_words_filter_a_table(browser):
    browser.run("document.querySelector('#comparison [type=search]').focus()")
    browser.write("svm")
    rows = "[...document.querySelectorAll('#models tbody tr')].filter((row) => row.checkVisibility())"
    shown = f"{rows}.map((row) => row.cells[0].textContent)"
    assert browser.run(shown) == ["svm"]
    assert browser.run("document.querySelector('#comparison output').value") == "1 of 4"


def test_every_video_can_be_found_and_sorted(browser):
    ids = "[...document.querySelectorAll('#videos-table tbody th')].map((head) => head.textContent)"
    first = browser.run(ids)
    assert len(first) == 50
    browser.run("document.querySelector('#videos-pages [value=\"1\"]').click()")
    assert not set(browser.run(ids)) & set(first)
    browser.run("document.querySelector('#videos-controls [type=search]').focus()")
    browser.write("clips/01")
    assert browser.run(ids) == [f"clips/01{i}.mp4" for i in range(10)]
    browser.run("document.querySelectorAll('#videos-table thead button')[4].click()")
    values = "[...document.querySelectorAll('#videos-table tbody tr')].map((row) => row.cells[4].textContent)"
    found = [float(value.removeprefix("✗ ")) for value in browser.run(values)]
    assert found == sorted(found, reverse=True)
    browser.choose("#videos-controls [name=wrong]", "0")
    assert all(value.startswith("✗") for value in browser.run(values))


def test_the_gallery_shows_the_errors_of_one_model(browser):
    browser.choose("[data-by=models]", "svm")
    shown = "[...document.querySelectorAll('#gallery > li')].filter((card) => card.checkVisibility())"
    cards = browser.run(f"{shown}.map((card) => card.dataset.models)")
    assert 0 < len(cards) <= 6
    assert all("svm" in json.loads(models) for models in cards)
    state = "document.querySelector('.filmstrip img').getAnimations()[0].playState"
    assert browser.run(state) == "running"
    browser.run("document.querySelector('button.play').click()")
    assert browser.run(state) == "paused"


def test_a_hostile_name_is_only_a_name(browser):
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert NASTY in browser.run("document.body.innerText")


@pytest.mark.parametrize("width", [320, 390, 820])
def test_nothing_is_wider_than_a_phone(running, path, width):
    running.open(path, width=width, height=800, phone=width < 800)
    assert running.run("document.documentElement.scrollWidth") == width
    assert running.problems == []


def test_text_has_enough_contrast(browser):
    """The contrast of text is at least 4.5, as required by WCAG 2.2 (AA)."""
    assert browser.run(CONTRAST)[0] >= 4.5
    browser.run("document.getElementById('theme').click()")
    assert browser.run(CONTRAST)[0] >= 4.5


def test_it_prints(browser, tmp_path):
    browser.print(tmp_path / "page.pdf")
    pages = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    assert 3 < pages < 40
    browser.call("Emulation.setEmulatedMedia", media="print")
    hidden = (
        "!document.querySelector('nav').checkVisibility() && !document.querySelector('#videos-table').checkVisibility()"
    )
    assert browser.run(hidden)
    assert browser.run("document.querySelector('.filmstrip img').getAnimations().length") == 0
