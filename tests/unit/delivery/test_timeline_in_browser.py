"""Use the page of timelines in a real browser, on a desktop, on a phone and with a keyboard; load the WebVTT."""

import json
from itertools import pairwise

import numpy as np
import pytest
from helpers.browser import CHROMIUM, CONTRAST, Browser
from helpers.made_up_timeline import JPEG, NASTY, timeline

from clipfold.delivery.segments import Segment, segments, strongest, write_vtt
from clipfold.delivery.timeline_page import write_timeline_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of one long video that lies beside it, and one of several with odd names and many classes."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "long camera.mp4").touch()
    rng = np.random.default_rng(0)
    score = rng.random(7_200) * 0.3 + 0.65 * (np.arange(7_200) % 900 < 20)
    one = timeline(score, video="long camera.mp4", status=["ok"] * 7_000 + ["corrupt"] * 200)
    classes = ["background", *("run", "a class with a very long name " * 3, NASTY, "swim")]
    several = [
        timeline(
            np.zeros(90),
            window=2.0,
            video=name,
            classes=classes,
            positive=None,
            probabilities=rng.dirichlet([0.2] * 5, 90),
        )
        for name in (NASTY, "long" * 60 + ".mp4", "c.mp4")
    ]
    for path, timelines, low in (("one.html", [one], 0.4), ("several.html", several, None)):
        found = [segment for each in timelines for segment in segments(each, 0.6, low)]
        frames = {
            each.video: [(time, JPEG) for time in strongest(each, [s for s in found if s.video == each.video])]
            for each in timelines
        }
        write_timeline_page(timelines, found, folder / path, 0.6, low, frames)
    return folder


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.mark.parametrize("name", ["one.html", "several.html"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (820, False), (375, False), (375, True)])
def test_it_opens_without_errors_requests_nothing_and_fits(browser, pages, name, width, dark):
    browser.open(pages / name, width=width, height=800, phone=width < 800, dark=dark)
    browser.run("scrollTo(0, document.body.scrollHeight)")
    assert browser.problems == []
    requested = [address for address in browser.requests if not address.startswith("data:")]
    assert requested == [(pages / name).resolve().as_uri()]
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("document.images.length") > 0
    assert browser.run("[...document.images].every((image) => !image.complete || image.naturalWidth > 0)")
    assert browser.run("document.scripts.length") == 0
    assert browser.run(CONTRAST)[0] >= 4.5


def test_the_drawing_fills_its_place(browser, pages):
    browser.open(pages / "one.html", width=375, phone=True)
    width, height, line = browser.run(
        "(() => { const box = (q) => document.querySelector(q).getBoundingClientRect();"
        " return [box('.plot svg').width, box('.plot svg').height, box('.plot .line').width] })()"
    )
    assert width > 250
    assert height > 100
    assert line == pytest.approx(width * 7_000 / 7_203, rel=0.01)


@pytest.mark.parametrize("width", [1280, 375])
def test_labels_of_the_time_axis_do_not_touch(browser, tmp_path, width):
    lengths = (0.4, 3, 5.5, 45, 59, 80, 420, 599, 1700, 3599, 3600, 6900, 7203, 26_000, 86_400, 500_000)
    videos = [timeline([0.5], window=length, video=str(length)) for length in lengths]
    write_timeline_page(videos, [], tmp_path / "lengths.html", 0.6)
    browser.open(tmp_path / "lengths.html", width=width, phone=width < 800)
    axes = browser.run(
        "[...document.querySelectorAll('.times')].map((axis) => [...axis.children]"
        ".filter((mark) => mark.checkVisibility()).map((mark) => mark.getBoundingClientRect())"
        ".map((box) => [box.left, box.right]))"
    )
    assert len(axes) == len(lengths)
    for boxes in axes:
        assert len(boxes) >= 3
        assert all(one[1] + 3 < other[0] for one, other in pairwise(boxes))


def test_the_keyboard_reaches_the_jumps(browser, pages):
    browser.open(pages / "one.html")
    browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "Skip to the first timeline"
    browser.press("Enter")
    reached = []
    for _ in range(30):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.closest('td') && document.activeElement.href"))
    first = next(address for address in reached if address)
    assert first.startswith((pages / "long%20camera.mp4").resolve().as_uri().replace("%25", "%"))
    assert "#t=" in first
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_hostile_name_is_only_a_name(browser, pages):
    browser.open(pages / "several.html")
    assert NASTY in browser.run("document.body.innerText")


def test_a_player_reads_the_segments_as_cues(browser, tmp_path):
    found = [
        Segment("a", "fight", 1.0, 3.5, 0.9, 2.0, 0.75),
        Segment("a", NASTY + "\n\n-->", 3723.25, 3724, 1, 3723, 1),
    ]
    write_vtt(tmp_path / "a.vtt", found)
    (tmp_path / "player.html").write_text("<video></video>")
    browser.open(tmp_path / "player.html")
    cues = browser.run(f"""new Promise((done) => {{
      const track = document.createElement("track");
      track.src = URL.createObjectURL(new Blob([{json.dumps((tmp_path / "a.vtt").read_text("utf-8"))}]));
      track.onload = () => done([...track.track.cues].map((cue) =>
        [cue.id, cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]));
      track.onerror = () => done("refused");
      document.querySelector("video").append(track);
      track.track.mode = "hidden";
    }})""")
    assert cues == [
        ["1", 1, 3.5, "fight: peak 0.90, mean 0.75"],
        ["2", 3723.25, 3724, f"{NASTY} -->: peak 1.00, mean 1.00"],
    ]
