from bisect import bisect_left
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.video import sampling
from clipfold.video.decode import _ascending

counts, frames, strides = st.integers(1, 500), st.integers(1, 64), st.integers(1, 8)


@given(counts, frames, strides, st.text())
def test_clip_samplers_give_ascending_indices_inside_the_video(count, frames, stride, seed):
    for indices in (
        sampling.uniform(count, frames),
        sampling.dense(count, frames, stride),
        sampling.random_start(count, frames, stride, seed),
    ):
        assert len(indices) == frames
        assert indices == sorted(indices)
        assert indices[0] >= 0
        assert indices[-1] < count


@given(counts, frames)
def test_uniform_is_symmetric_and_leaves_no_frame_out_that_it_has_room_for(count, frames):
    indices = sampling.uniform(count, frames)
    if frames >= count:
        assert set(indices) == set(range(count))
    else:
        assert len(set(indices)) == frames


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200, unique=True).map(sorted), st.floats(0.1, 60), frames)
def test_steady_takes_frames_once_and_not_faster_than_its_rate(ticks, rate, frames):
    times = [tick / 100 for tick in ticks]
    taken = sampling.steady(times, rate, frames)
    assert taken == sorted(set(taken))
    assert 1 <= len(taken) <= frames
    assert taken[0] == 0
    for i, j in zip(taken, taken[2:], strict=False):  # a frame may come late, so only every second step is bound
        assert times[j] - times[i] > 1 / rate - 1e-5


@given(st.lists(st.integers(0, 499), min_size=1, unique=True).map(sorted), frames)
def test_keyframe_sampling_takes_keyframes_only(keyframes, frames):
    assert set(sampling.nearest_keyframes(500, frames, keyframes)) <= set(keyframes)


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60, unique=True), st.floats(0.3, 40), st.integers(1, 40))
def test_steady_is_what_going_through_all_ticks_gives(times, rate, frames):
    times = sorted(times)
    ticks = (times[0] + k / rate - 1e-6 for k in range(int((times[-1] - times[0]) * rate + 1e-6) + 1))
    assert sampling.steady(times, rate, frames) == [*dict.fromkeys(bisect_left(times, t) for t in ticks)][:frames]


def test_steady_does_not_go_through_the_ticks_of_a_clock_that_jumps_by_years():
    times = [0.0, *(1.7e9 + i / 10 for i in range(19))]
    assert sampling.steady(times, 10.0, 64) == list(range(20))


@pytest.mark.parametrize(("times", "rate", "expected"), [([0.0, 0.04, 0.08, 0.12], 25, [0, 1, 2, 3]), ([5.0], 10, [0])])
def test_steady_at_the_videos_own_rate_takes_all(times, rate, expected):
    assert sampling.steady(times, rate, 64) == expected


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60, unique=True).map(sorted), st.floats(0.01, 1))
def test_a_slow_clock_never_asks_for_a_frame_past_the_last(times, rate):
    assert sampling.steady(times, rate, 40)[-1] < len(times)


def test_the_last_tick_may_lie_just_after_the_last_frame():
    assert sampling.steady([0.0, 9.999995], 0.1, 4) == [0, 1]


@pytest.mark.parametrize("bad", [None, nan, inf, -inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_clock_that_is_no_number_is_replaced_by_a_steady_one(bad, place):
    times = [0.0, 1.0, 3.0]
    assert _ascending(times, 10.0) == times
    times[place] = bad
    assert _ascending(times, 10.0) == [0.0, 0.1, 0.2]
    for rate in (0.0, nan, inf):
        assert _ascending(times, rate) == [0.0, 0.04, 0.08]
