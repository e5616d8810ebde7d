"""Scores of windows become scores over time, segments, CSV and WebVTT."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from helpers.made_up_timeline import timeline
from hypothesis import assume, given
from hypothesis import strategies as st

from clipfold.delivery.segments import Segment, segments, strongest, write_segments_csv, write_vtt

STATES = ("ok", "ok", "ok", "unreadable")


# Sixteenths are exact in binary, so that means of equal scores are equal to them.
scores = st.lists(st.tuples(st.integers(0, 16).map(lambda n: n / 16), st.sampled_from(STATES)), max_size=40)
windows = st.tuples(st.sampled_from([0.5, 1.0, 3.0, 4.0, 4.25]), st.sampled_from([0.1, 1.0, 1.5, 5.0]))


@st.composite
def timelines(draw):
    rows, (window, stride) = draw(scores), draw(windows)
    return timeline([s for s, _ in rows], window=window, stride=stride, status=[status for _, status in rows])


def total(found):
    return sum(segment.end - segment.start for segment in found)


def test_a_moment_scores_the_mean_of_the_windows_that_cover_it():
    edges, scores = timeline([0, 1, 0.5], window=2, stride=1).steps
    assert edges.tolist() == [0, 1, 2, 3, 4]
    assert scores[:, 1].tolist() == [0, 0.5, 0.75, 0.5]
    assert scores.sum(1).tolist() == [1, 1, 1, 1]


@given(timelines())
def test_scores_over_time_agree_with_a_count_at_each_moment(given):
    edges, scores = given.steps
    for first, last, row in zip(edges[:-1], edges[1:], scores, strict=True):
        moment = (first + last) / 2
        covering = (given.start <= moment) & (moment < given.end) & given.usable
        expected = given.probabilities[covering].mean(0) if covering.any() else np.full(2, np.nan)
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_times_that_differ_by_rounding_make_no_extra_step():
    edges, _ = timeline(np.zeros(1000), window=4 * 0.1, stride=0.1).steps
    assert len(edges) == 1004


def test_one_event_makes_one_segment_about_as_long_as_the_event():
    """An event of 2 s is in six windows of 4 s; where more than half of those that cover a moment see it, it scores."""
    begin = np.arange(60)
    seen = (begin < 22) & (begin + 4 > 20)
    (found,) = segments(timeline(seen), 0.75)
    assert (found.start, found.end, found.peak) == (19, 23, 1)
    assert found.start < found.peak_time < found.end


def test_hysteresis_bridges_a_dip_but_does_not_begin_early():
    score = timeline([0.4, 0.8, 0.4, 0.7, 0.1, 0.4], window=1)
    assert [(s.start, s.end) for s in segments(score, 0.6)] == [(1, 2), (3, 4)]
    assert [(s.start, s.end) for s in segments(score, 0.6, low=0.3)] == [(1, 4)]


def test_close_segments_join_before_short_ones_are_dropped():
    score = timeline([0.9, 0.1, 0.9, 0, 0, 0, 0.8], window=1)
    assert [(s.start, s.end) for s in segments(score, 0.5, gap_s=1)] == [(0, 1), (2, 3), (6, 7)]
    (found,) = segments(score, 0.5, gap_s=1.5, least_s=2)
    assert (found.start, found.end, found.peak, found.peak_time) == (0, 3, 0.9, 0.5)
    assert found.mean == pytest.approx((0.9 + 0.1 + 0.9) / 3)


def test_a_segment_ends_where_nothing_could_be_used():
    score = timeline([0.9] * 5, window=1, status=["ok", "ok", "unreadable", "ok", "ok"])
    assert [(s.start, s.end) for s in segments(score, 0.5)] == [(0, 2), (3, 5)]
    (joined,) = segments(score, 0.5, gap_s=2)
    assert joined.mean == pytest.approx(0.9)


@given(timelines(), st.integers(0, 16), st.integers(0, 16), st.sampled_from([0, 1, 3]), st.sampled_from([0, 1.5, 4]))
def test_segments_are_disjoint_in_order_and_consistent(given, a, b, least, gap):
    low, threshold = sorted((a / 16, b / 16))
    found = segments(given, threshold, low, least, gap)
    for segment in found:
        assert segment.end - segment.start >= max(least - 1e-9, 0.001)
        assert segment.start < segment.peak_time < segment.end
        assert threshold <= segment.peak
        assert 0 <= segment.mean <= segment.peak + 1e-12
    for one, other in pairwise(found):
        assert one.end < other.start
        assert other.start - one.end >= gap - 1e-9


@given(timelines(), st.integers(0, 16))
def test_every_moment_at_the_threshold_is_inside_a_segment_and_without_hysteresis_no_other(given, n):
    threshold = n / 16
    edges, _ = given.steps
    found = segments(given, threshold)
    for first, last, score in zip(edges[:-1], edges[1:], given.score("fight"), strict=True):
        assert any(s.start <= first and last <= s.end for s in found) == bool(score >= threshold)


@given(timelines(), st.sampled_from([0.0, 2.0]))
def test_every_window_at_the_threshold_is_a_segment_where_windows_do_not_overlap(given, gap):
    assume((given.end[:-1] <= given.start[1:]).all())
    found = segments(given, 0.5, gap_s=gap)
    for i in np.flatnonzero(given.usable & (given.probabilities[:, 1] >= 0.5)):
        assert any(s.start <= given.start[i] + 1e-9 and given.end[i] - 1e-9 <= s.end for s in found)


@given(timelines(), st.lists(st.integers(0, 16), min_size=3, max_size=3), st.sampled_from([0, 2]))
def test_a_higher_threshold_never_lengthens_the_total(given, numbers, gap):
    low, one, other = sorted(n / 16 for n in numbers)
    for least in (0, 1.5):
        assert total(segments(given, other, None, least, gap)) <= total(segments(given, one, None, least, gap)) + 1e-9
        assert total(segments(given, other, low, least, gap)) <= total(segments(given, one, low, least, gap)) + 1e-9


def test_without_a_class_of_interest_each_class_but_the_background_has_segments():
    score = np.array([[0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.9, 0.05, 0.05]])
    given = timeline(
        [0] * 3, window=1, classes=("background", "run", "jump"), positive=None, probabilities=score, duration=3
    )
    assert [(s.label, s.start) for s in segments(given, 0.5)] == [("run", 0), ("jump", 1)]


@given(timelines(), st.integers(1, 12))
def test_the_strongest_frames_are_few_apart_and_within_the_video(given, most):
    times = strongest(given, segments(given, 0.5), most)
    assert len(times) <= most
    assert times == sorted(times)
    assert all(0 < time < given.end[-1] for time in times)
    longest = max(given.end - given.start, default=0)
    assert all(b - a >= longest - 1e-9 for a, b in pairwise(times))


def test_the_strongest_frames_are_the_peaks_of_segments_first():
    score = timeline([0.2, 0.9, 0.9, 0.2, 0.3, 0.6, 0.4], window=1)
    assert strongest(score, segments(score, 0.5), most=2) == [1.5, 5.5]
    assert strongest(score, [], most=9) == [1.5, 2.5, 5.5]
    assert strongest(score, segments(score, 0.5)) == [1.5, 2.5, 5.5]


def test_a_video_without_windows_has_no_scores():
    nothing = timeline([])
    assert segments(nothing, 0.5) == []
    assert strongest(nothing, []) == []
    assert nothing.to_frame().columns.tolist() == ["start", "end", "p_calm", "p_fight", "status", "reason"]


def test_the_frame_has_a_row_per_window():
    frame = timeline([0.25, 0.5], status=["ok", "unreadable"]).to_frame()
    assert frame.p_fight.isna().tolist() == [False, True]
    assert frame.drop(columns=["p_calm", "p_fight"]).to_numpy().tolist() == [
        [0.0, 4.0, "ok", ""],
        [1.0, 5.0, "unreadable", "broken"],
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": np.array([1.0, 0.0])}, "in order"),
        ({"start": np.array([1.0, 1.0001])}, "in order"),
        ({"end": np.array([4.0, 1.0])}, "in order"),
        ({"end": np.array([4.0, np.nan])}, "in order"),
        ({"status": ["ok"]}, "for each of the 2 windows"),
        ({"probabilities": np.zeros((2, 3))}, "shape of probabilities"),
        ({"probabilities": np.array([[0.5, 0.5], [np.nan, 0.5]])}, "from 0 to 1"),
        ({"positive": "fights"}, "positive is 'fights'"),
        ({"duration": np.nan}, "duration is nan"),
    ],
)
def test_a_wrong_timeline_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        timeline([0.1, 0.2], **changes)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [((1.5,), "threshold is 1.5"), ((0.5, 0.6), "low is 0.6"), ((0.5, 0.4, -1), "least_s is -1")],
)
def test_wrong_numbers_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        segments(timeline([0.5]), *numbers)


FOUND = [
    Segment("a,b.mp4", "fight", 1.0, 3.5, 0.9, 2.25, 0.75),
    Segment("a,b.mp4", 'x\n\n2\n00:00 --> "<i>&', 3725.25, 100 * 3600, 1.0, 4000, 0.5),
]


def test_the_csv_holds_the_segments(tmp_path):
    write_segments_csv(tmp_path / "segments.csv", FOUND)
    text = (tmp_path / "segments.csv").read_text("utf-8")
    assert text.splitlines()[:2] == [
        "video,label,start,end,peak,peak_time,mean",
        '"a,b.mp4",fight,1.000,3.500,0.900000,2.250,0.750000',
    ]
    assert pd.read_csv(tmp_path / "segments.csv").label.tolist() == [s.label for s in FOUND]


def test_the_webvtt_is_what_the_standard_asks_for(tmp_path):
    write_vtt(tmp_path / "a.vtt", FOUND[::-1])
    text = (tmp_path / "a.vtt").read_bytes().decode("utf-8")
    signature, note, *cues = text.strip().split("\n\n")
    assert signature == "WEBVTT"
    assert note.startswith("NOTE\n")
    assert "-->" not in note
    assert cues == [
        "1\n00:00:01.000 --> 00:00:03.500\nfight: peak 0.90, mean 0.75",
        '2\n01:02:05.250 --> 100:00:00.000\nx 2 00:00 --&gt; "&lt;i&gt;&amp;: peak 1.00, mean 0.50',
    ]
    assert len(re.findall("-->", text)) == 2


def test_the_webvtt_of_nothing_is_a_valid_file(tmp_path):
    write_vtt(tmp_path / "a.vtt", [])
    assert (tmp_path / "a.vtt").read_text("utf-8").startswith("WEBVTT\n\n")


def test_the_webvtt_belongs_to_one_video(tmp_path):
    other = Segment("b.mp4", "fight", 1, 2, 0.9, 1.5, 0.9)
    with pytest.raises(ValueError, match="a file for each video"):
        write_vtt(tmp_path / "a.vtt", [*FOUND, other])


def test_a_timeline_finds_its_segments_from_its_own_threshold_or_another():
    scores = timeline([0.1, 0.9, 0.6, 0.1], window=1.0, threshold=0.55)
    assert scores.segments() == segments(scores, 0.55)
    assert scores.segments(0.7, low=0.5, least_s=1.0, gap_s=1.0) == segments(scores, 0.7, 0.5, 1.0, 1.0)
    assert [(s.start, s.end) for s in scores.segments(0.7)] == [(1.0, 2.0)]
    with pytest.raises(ValueError, match="threshold is 2"):
        scores.segments(2)


def test_a_notebook_shows_a_timeline_by_its_segments():
    shown = timeline([0.1, 0.9], window=1.0, video="<b>.mp4")._repr_html_()
    assert "&lt;clipfold timeline of &lt;b&gt;.mp4: 2.0 s, 2 windows&gt;" in shown
    assert "1 segments from 0.50 on" in shown
    assert "<td>0.900</td>" in shown
