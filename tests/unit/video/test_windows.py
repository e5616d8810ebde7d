"""Test that the windows of a long video hold what decoding each of them alone would give."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from helpers.corpus.movies import movie, remux
from hypothesis import given
from hypothesis import strategies as st

from clipfold.settings import ProbeSettings
from clipfold.video import windows
from clipfold.video.container import NotTheVideo, Unusable
from clipfold.video.decode import decode_video
from clipfold.video.picture import Picture
from clipfold.video.probe import probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import Timeline, Uniform, build_views
from clipfold.video.windows import decode_windows, spans, windows_in_worker

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FRAMES = 72  # 3 s
VIEWS = build_views(
    {
        "clips": {"kind": "uniform", "frames": 5},
        "start": {"kind": "random_start", "frames": 4},
        "motion": {"kind": "luma", "rate": 10.0, "frames": 16, "size": 16},
        "native": {"kind": "crops", "frames": 2, "grid": 2, "size": 16},
    },
    32,
)


def stream(path: Path) -> Stream:
    return Stream.of(probe_video(str(path), ProbeSettings()) | {"id": "a", "path": str(path)})


def x264(params: str, **changes) -> dict:
    return {"options": {"preset": "medium", "x264-params": params}} | changes


def jittered(frames: int) -> list[int]:
    """Return timestamps in ticks of 10 ms: steps of 20 to 60 ms, and a gap of 1.5 s."""
    steps = [2 + i * 7 % 5 for i in range(frames)]
    steps[40] += 150
    return [sum(steps[:i]) for i in range(frames)]


STREAMS = {
    "closed.mp4": x264("keyint=12"),
    "pyramid.mkv": x264("keyint=24:bframes=7:b-pyramid=normal:ref=4:b-adapt=0"),
    "open.ts": x264("keyint=12:open-gop=1:bframes=3:b-adapt=0"),
    "variable.mkv": x264("keyint=12:bframes=3", pts=jittered(FRAMES), tick=Fraction(1, 100)),
    "untimed.h264": x264("keyint=12:bframes=3", fmt="h264"),
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12"}},
}


@pytest.fixture(scope="module", params=STREAMS)
def film(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("windows") / request.param
    path.write_bytes(movie(path, frames=FRAMES, **STREAMS[request.param]))
    return path


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    path = tmp_path_factory.mktemp("closed") / "closed.mkv"
    path.write_bytes(movie(path, frames=FRAMES, **x264("keyint=12:min-keyint=12:scenecut=0:bframes=2")))
    return path


def everything(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return list(container.decode(video=0))


def times_of(frames: list[av.VideoFrame]) -> list[float]:
    return [frame.pts * float(frame.time_base) for frame in frames]


def expected(frames, view, span, timeline):
    """Apply a view to a window of a full decode, in the plainest way."""
    indices = view.select(timeline)
    array = np.zeros(view.shape, np.uint8)
    for slot, index in enumerate(indices):
        array[slot] = view.take(Picture(frames[span.first + index], None))
    return indices, array


def same(window, frames, times, views=VIEWS):
    """Check a window against a full decode."""
    span, decoded = window.span, window.decoded
    assert decoded.facts["status"] == "ok", decoded.facts
    timeline = Timeline("a", times[span.first : span.last + 1], ())
    for name, view in views.items():
        indices, array = expected(frames, view, span, timeline)
        assert np.array_equal(decoded.arrays[name], array), f"{name} of {span}"
        assert decoded.facts[f"{name}_frames"].tolist() == indices
        assert decoded.facts[f"{name}_times"] == pytest.approx([timeline.times[i] for i in indices], abs=1e-9)
        box = view.content(Picture(frames[0], None))
        assert decoded.facts[f"{name}_box"] == [box.top, box.left, box.height, box.width]
    return True


# --- the spans --------------------------------------------------------------------------------------------------------


def test_windows_begin_each_stride_and_the_last_ends_with_the_video():
    found = list(spans([i / 10 for i in range(105)], 4.0, 1.0))
    assert [span.start for span in found] == pytest.approx([0, 1, 2, 3, 4, 5, 6, 6.5])
    assert [span.end for span in found] == pytest.approx([4, 5, 6, 7, 8, 9, 10, 10.5])
    assert [span.first for span in found] == [0, 10, 20, 30, 40, 50, 60, 65]
    assert [span.last for span in found] == [39, 49, 59, 69, 79, 89, 99, 104]


def test_a_short_video_is_one_window_and_gaps_have_none():
    assert list(spans([5.0, 5.5], 4.0, 1.0)) == [windows.Span(0.0, 1.0, 0, 1)]
    assert list(spans([5.0], 4.0, 1.0)) == [windows.Span(0.0, 4.0, 0, 0)]
    leap = [0.0, 0.5, 1e9, 1e9 + 0.5]  # a recorder that sets its clock
    assert [(span.first, span.last) for span in spans(leap, 1.0, 1.0)] == [(0, 1), (2, 3)]


@given(
    st.lists(st.floats(0.001, 20), min_size=1, max_size=60),
    st.floats(0.05, 10),
    st.floats(0.05, 10),
)
def test_each_window_has_exactly_the_frames_in_it(steps, window_s, stride_s):
    times = [sum(steps[: i + 1]) for i in range(len(steps))]
    found = list(spans(times, window_s, stride_s))
    for span in found:
        assert span.end - span.start <= window_s + 1e-9
        for index, at in enumerate(times):
            inside = span.start <= at - times[0] < span.end
            near = min(abs(at - times[0] - edge) for edge in (span.start, span.end)) < 1e-5
            assert inside == (span.first <= index <= span.last) or near or span is found[-1]
    starts = [span.start for span in found]
    assert starts == sorted(set(starts))
    assert found[-1].last == len(times) - 1
    if stride_s <= window_s:
        assert {i for span in found for i in range(span.first, span.last + 1)} == set(range(len(times)))


@pytest.mark.parametrize("lengths", [(0, 1), (1, 0), (1, float("nan")), (float("inf"), 1)])
def test_lengths_must_be_positive(lengths):
    with pytest.raises(ValueError, match="use a positive number of seconds"):
        list(spans([0.0, 1.0], *lengths))


# --- the frames -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(1.0, 0.25), (0.5, 0.7), (60.0, 1.0)], ids=str)
def test_windows_equal_those_of_a_full_decode(film, lengths):
    frames = everything(film)
    times = [i / 25 for i in range(FRAMES)] if film.suffix == ".h264" else times_of(frames)
    found = list(decode_windows(stream(film), VIEWS, *lengths))
    assert [window.span for window in found] == list(spans(times, *lengths))
    assert all(same(window, frames, times) for window in found)
    assert all(("counted" in window.decoded.facts["warning"]) == (film.suffix == ".h264") for window in found)


def test_a_window_equals_decoding_a_lossless_cut(closed, tmp_path):
    frames = everything(closed)
    for number, window in enumerate(decode_windows(stream(closed), VIEWS, 1.0, 0.5)):
        path = tmp_path / f"{number}.mkv"
        with av.open(str(path), "w") as out:
            cut = out.add_stream("libx264", 24, {"qp": "0"})
            cut.width, cut.height, cut.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
            cut.codec_context.time_base = frames[0].time_base
            for frame in frames[window.span.first : window.span.last + 1]:
                out.mux(cut.encode(frame))
            out.mux(cut.encode(None))
        alone = decode_video(stream(path), VIEWS)
        assert all(np.array_equal(alone.arrays[name], window.decoded.arrays[name]) for name in VIEWS)
        for name in VIEWS:
            assert alone.facts[f"{name}_box"] == window.decoded.facts[f"{name}_box"]
            assert alone.facts[f"{name}_frames"].tolist() == window.decoded.facts[f"{name}_frames"].tolist()
    assert number == 4


class Counting(Uniform):
    """A view that notes which pictures it takes."""

    def take(self, picture):
        taken.append(id(picture._frame))
        kept.append(picture._frame)
        return super().take(picture)


taken: list[int] = []
kept: list[av.VideoFrame] = []  # so that no two have the same id


def test_each_view_takes_a_frame_once_and_the_file_is_decoded_once(closed, monkeypatch):
    passes = []
    original = windows.decoded_frames
    monkeypatch.setattr(windows, "decoded_frames", lambda *a, **k: passes.append(a) or original(*a, **k))
    found = list(decode_windows(stream(closed), {"clips": Counting(frames=12, size=16)}, 1.0, 0.25))
    wanted = {window.span.first + i for window in found for i in window.decoded.facts["clips_frames"]}
    assert len(found) * 12 > 2 * len(wanted)  # windows share frames
    assert len(taken) == len(set(taken)) == len(wanted)
    assert len(passes) == 1


# --- odd and damaged files --------------------------------------------------------------------------------------------


def test_packets_that_yield_no_frame_are_counted_as_in_decode_video(tmp_path):
    def drop(parcels):
        for parcel in parcels[30::20]:
            parcel.data = bytes.fromhex("000001b6504f")  # a picture that is not coded
        return parcels

    path = tmp_path / "dropped.avi"
    path.write_bytes(remux(movie(path, codec="mpeg4", frames=FRAMES, options={"g": "12"}), "avi", drop))
    alone, (window,) = decode_video(stream(path), VIEWS), decode_windows(stream(path), VIEWS, 60.0, 1.0)
    for decoded in (alone, window.decoded):
        assert "frames were counted instead" in decoded.facts["warning"]
    assert all(np.array_equal(alone.arrays[name], window.decoded.arrays[name]) for name in VIEWS)
    frames = everything(path)
    found = list(decode_windows(stream(path), VIEWS, 0.5, 0.25))
    assert [window.span.start for window in found] == pytest.approx(np.arange(11) / 4)
    assert all(same(window, frames, times_of(frames)) for window in found)
    assert ["counted" in window.decoded.facts["warning"] for window in found] == [False] * 4 + [True] * 7


def test_a_keyframe_that_is_none_costs_nothing_but_time(tmp_path):
    path = tmp_path / "false.mkv"
    data = movie(path, frames=FRAMES, **x264("keyint=250:scenecut=0:bframes=0"))
    lying = lambda all_: [setattr(p, "key", n % 12 == 0) or p for n, p in enumerate(all_)]  # noqa: E731
    path.write_bytes(remux(data, "mkv", lying))
    frames = everything(path)
    found = list(decode_windows(stream(path), VIEWS, 0.3, 0.9))
    assert len(found) == 4
    assert all(same(window, frames, times_of(frames)) for window in found)


def spoiled(source: Path, path: Path, first: int, last: int) -> Path:
    """Overwrite the middle of some packets of the stream, in file order."""

    def spoil(parcels):
        for parcel in parcels[first : last + 1]:
            parcel.data = parcel.data[:10] + b"\xff" * (len(parcel.data) - 10)
        return parcels

    path.write_bytes(remux(source.read_bytes(), "mkv", spoil))
    return path


def test_damage_costs_the_windows_that_it_reaches_and_no_other(closed, tmp_path):
    whole, times = everything(closed), times_of(everything(closed))
    damaged = stream(spoiled(closed, tmp_path / "damaged.mkv", 25, 26))  # just after the third keyframe
    found = list(decode_windows(damaged, VIEWS, 0.5, 0.25))
    assert [window.span for window in found] == list(spans(times, 0.5, 0.25))
    for window in found:
        if window.span.last < 20 or window.span.first >= 36:
            assert same(window, whole, times)
        elif window.span.first <= 30 <= window.span.last:
            assert window.decoded.facts["status"] == "corrupt"
            assert "wanted frames" in window.decoded.facts["reason"]


def test_windows_without_frames_have_a_status(closed, tmp_path):
    # Not even the headers of the second half survive, so nothing can be shown in their place.
    broken = stream(spoiled(closed, tmp_path / "broken.mkv", 36, FRAMES))
    found = list(decode_windows(broken, VIEWS, 0.5, 0.5))
    assert len(found) == 6
    assert [window.decoded.facts["status"] for window in found] == ["ok"] * 3 + ["corrupt"] * 3
    assert all(window.decoded.facts["reason"] for window in found[3:])


# --- in a worker ------------------------------------------------------------------------------------------------------

WORKER = {"timeout_s": 60.0}


def means(window):
    return window.span.first, float(window.decoded.arrays["clips"].mean()), os.getpid()


def test_only_what_is_prepared_comes_from_the_worker(closed):
    found = list(windows_in_worker(stream(closed), VIEWS, 1.0, 0.25, means, **WORKER))
    assert [f[:2] for f in found] == [means(w)[:2] for w in decode_windows(stream(closed), VIEWS, 1.0, 0.25)]
    assert {pid for _, _, pid in found} != {os.getpid()}


def crash(window):
    if window.span.first:
        time.sleep(2)  # a crash loses what is still on its way
        os._exit(3)
    return window


def hang(window):
    time.sleep(60)


def greedy(window):
    return np.ones(1 << 29).sum()


def odd(window):
    raise ZeroDivisionError("a rate of 0")


def killed(window):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("prepare", "limits", "status"),
    [
        (crash, WORKER, "crashed"),
        (hang, {"timeout_s": 0.5}, "timeout"),
        (greedy, WORKER | {"memory_mb": 1000}, "too_large"),
        (odd, WORKER, "failed"),
    ],
)
def test_a_worker_that_ends_badly_is_a_status(closed, prepare, limits, status):
    with pytest.raises(Unusable) as caught:
        list(windows_in_worker(stream(closed), VIEWS, 1.0, 0.25, prepare, **limits))
    assert caught.value.status == status


def test_windows_before_a_crash_arrive(closed):
    arrived = windows_in_worker(stream(closed), VIEWS, 1.0, 0.25, crash, **WORKER)
    assert next(arrived).span.first == 0
    with pytest.raises(Unusable, match="exit code 3"):
        next(arrived)


def test_a_killed_worker_is_a_fault_of_the_machine(closed):
    with pytest.raises(NotTheVideo, match="a: its process was killed"):
        list(windows_in_worker(stream(closed), VIEWS, 1.0, 0.25, killed, **WORKER))


def test_the_worker_ends_when_nobody_wants_its_windows(closed):
    arriving = windows_in_worker(stream(closed), VIEWS, 1.0, 0.25, means, **WORKER)
    _, _, pid = next(arriving)
    arriving.close()
    assert not psutil.pid_exists(pid)


PEAK = """
import sys
from clipfold.settings import ProbeSettings
from clipfold.storage.memory import peak_memory_mb
from clipfold.video.probe import probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import build_views
from clipfold.video.windows import decode_windows
views = build_views({"clips": {"kind": "uniform", "frames": 16}}, 112)
stream = Stream.of(probe_video(sys.argv[1], ProbeSettings()) | {"id": "a", "path": sys.argv[1]})
print(sum(1 for _ in decode_windows(stream, views, 4.0, 1.0)), peak_memory_mb())
"""


@pytest.mark.slow
def test_ten_times_the_length_takes_no_more_memory(tmp_path):
    once = tmp_path / "once.mp4"
    once.write_bytes(movie(once, frames=240, options={"g": "48"}))
    peaks = {}
    for seconds in (60, 600):
        path = tmp_path / f"{seconds}.mp4"
        loop = ["-stream_loop", str(seconds // 10 - 1), "-i", once, "-c", "copy", path]
        subprocess.run([FFMPEG, "-v", "error", *loop], check=True)
        done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
        count, peaks[seconds] = done.stdout.split()
        assert int(count) == seconds - 3
    assert float(peaks[600]) < 1.05 * float(peaks[60])
