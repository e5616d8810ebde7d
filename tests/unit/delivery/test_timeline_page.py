"""The page of timelines: complete, small, escaped, without this machine's folders."""

import re

import numpy as np
import pytest
from helpers.made_up_timeline import JPEG, NASTY, timeline
from hypothesis import given
from hypothesis import strategies as st

from clipfold.delivery.segments import segments
from clipfold.delivery.timeline_drawing import COLUMNS, columns
from clipfold.delivery.timeline_page import MOST, write_timeline_page


def page(folder, *timelines, threshold=0.5, **options):
    found = [segment for each in timelines for segment in segments(each, threshold)]
    write_timeline_page(timelines, found, folder / "timeline.html", threshold, **options)
    return (folder / "timeline.html").read_text("utf-8")


def links(text):
    return re.findall(r'<td[^>]*><a href="([^"]*)"', text)


@given(
    st.lists(st.floats(0, 1) | st.just(np.nan), min_size=1, max_size=60),
    st.integers(1, 40),
    st.floats(0, 20),
)
def test_a_drawing_loses_no_peak_and_invents_none(score, count, rest):
    score, edges = np.array(score), np.arange(len(score) + 1.0)
    extent = len(score) + rest
    drawn = columns(edges, score, extent, count)
    assert np.isnan(drawn).all() == np.isnan(score).all()
    if not np.isnan(score).all():
        assert np.nanmax(drawn) == np.nanmax(score)
    for i, height in enumerate(drawn):
        touched = score[(edges[:-1] < (i + 1) * extent / count + 1e-9) & (edges[1:] > i * extent / count - 1e-9)]
        assert np.isnan(height) or height in touched


@pytest.mark.parametrize("windows", [7_200, 86_400])
def test_a_page_stays_small_whatever_the_length(tmp_path, windows):
    score = np.random.default_rng(0).random(windows)
    frames = {"a.mp4": [(float(i), JPEG) for i in range(50)]}
    text = page(tmp_path, timeline(score, window=1.0), frames=frames)
    assert len(text) < 250_000
    assert max(len(path) for path in re.findall(r' d="([^"]*)"', text)) < 15 * COLUMNS
    assert len(re.findall(r"<tr>", text)) == MOST["segments"] + 1
    assert text.count("data:image/jpeg;base64,") == MOST["frames"]


def test_a_segment_is_listed_with_its_numbers(tmp_path):
    text = page(tmp_path, timeline([0, 0, 0.75, 1, 0, 0], window=1.0, duration=4000))
    assert "1 segment of fight" in text
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    assert cells == ["0:02", "0:04", "2.0 s", "1.00", "0:03", "0.88"]


def test_times_are_links_into_a_video_beside_the_page(tmp_path, monkeypatch):
    folder = tmp_path / "a"
    (folder / "below").mkdir(parents=True)
    for name in ("x: 50%#1.mp4", "below/y.mp4", "../outside.mp4"):
        (folder / name).touch()
    monkeypatch.chdir(tmp_path)
    score = [0, 1, 0]
    inside = {
        "x: 50%#1.mp4": "./x%3A%2050%25%231.mp4#t=1.000",
        str(folder / "below/y.mp4"): "./below/y.mp4#t=1.000",
        "a/below/y.mp4": "./below/y.mp4#t=1.000",
    }
    for video, address in inside.items():
        assert links(page(folder, timeline(score, window=1.0, video=video)))[0] == address
    for video in ("../outside.mp4", str(tmp_path / "outside.mp4"), "none.mp4", "below", "\0"):
        assert links(page(folder, timeline(score, window=1.0, video=video))) == []


def test_names_are_text_and_no_folder_of_this_machine_is_told(tmp_path):
    reason = f"<b>no frame</b> in '{tmp_path}/cams/lobby.mp4', 16/9"
    bad = timeline(
        [0.9, 0.9],
        window=1.0,
        classes=("calm", "<i>fight</i>"),
        positive="<i>fight</i>",
        video=f"{tmp_path}/cams/{NASTY}",
        status=["ok", "corrupt"],
        reason=["", reason],
    )
    text = page(
        tmp_path, bad, timeline([0.9], video="/srv/anna/b.mp4", classes=("calm", "<i>fight</i>"), positive=None)
    )
    assert "<script" not in text
    assert "<i>fight" not in text
    assert "&lt;b&gt;no frame&lt;/b&gt; in &#39;lobby.mp4&#39;, 16/9" in text
    assert str(tmp_path) not in text
    assert "/srv" not in text
    assert "anna" not in text


def test_the_videos_with_the_highest_scores_are_shown_and_the_page_says_so(tmp_path):
    several = [timeline([i / 100], video=f"{i:02}.mp4") for i in range(MOST["videos"] + 10)]
    text = page(tmp_path, *several, threshold=0.3)
    shown = re.findall(r'<h2 id="v\d+-title">(\d\d).mp4', text)
    assert shown == [f"{i:02}" for i in range(10, MOST["videos"] + 10)]
    assert "of 60. The table of segments has all" in text
    assert "30 segments of fight" in text


def test_of_many_classes_the_highest_are_drawn(tmp_path):
    classes = ["background", *(f"c{i}" for i in range(9))]
    scores = np.array([[0.3, *np.linspace(0.1, 0.9, 9)]])
    given = timeline([0], classes=classes, positive=None, probabilities=scores)
    text = page(tmp_path, given)
    assert re.findall(r"<p><b>(\w+)</b>", text) == ["c8", "c7", "c6", "c5", "c4", "c3"]
    assert "The 6 of 9 classes with the highest scores." in text


@pytest.mark.parametrize("status", [[], ["unreadable"] * 3])
def test_a_page_without_any_score_says_so(tmp_path, status):
    text = page(tmp_path, timeline([0.5] * len(status), status=status))
    assert "No segment of fight" in text
    assert "no score" in text


def test_a_page_of_no_video_is_still_a_page(tmp_path):
    assert "0 videos" in page(tmp_path)


def test_a_frame_that_is_no_jpeg_is_refused(tmp_path):
    with pytest.raises(ValueError, match="give JPEG files"):
        page(tmp_path, timeline([0.9]), frames={"a.mp4": [(1.0, b"<svg onload=alert(1)>")]})
    assert not (tmp_path / "timeline.html").exists()
