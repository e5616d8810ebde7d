"""Long videos become timelines: each window is what a cut of the video would be."""

import shutil
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import psutil
import pytest
from helpers.finished_run import CLIPS, EMBEDDINGS, ENSEMBLE, FEATURES, MODELS

from clipfold.delivery import timelines
from clipfold.delivery.timelines import Cut, timelines_to
from clipfold.delivery.windows import watch, watch_all
from clipfold.video.workers import VideoWorker

pytestmark = pytest.mark.slow

FPS = 20
TOLERANCE = 1e-6
"""Of a probability: a window's frames are those of the cut to the bit."""


def write(path, pictures):
    """Encode yuv420p frames without loss, a keyframe each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(FPS))
        stream.height, stream.width, stream.pix_fmt = pictures[0].height, pictures[0].width, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture.to_ndarray(), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def pictures(videos):
    """The frames of three videos of one shape, one after the other."""
    found = []
    for path in list(videos.values())[-4:-1]:
        with av.open(str(path)) as container:
            decoded = [frame.reformat(format="yuv420p", width=160, height=120) for frame in container.decode(video=0)]
            found += (decoded * 2)[:40]
    return found


@pytest.fixture(scope="module")
def long(pictures, tmp_path_factory):
    return write(tmp_path_factory.mktemp("long") / "a long, video ü.mkv", pictures)


@pytest.mark.parametrize("model", MODELS)
def test_a_window_is_predicted_as_a_cut_of_the_video(bundles, long, pictures, tmp_path, model):
    timeline = bundles[model].timeline(long, window=2.0, stride=0.75)
    length = len(pictures) / FPS
    assert timeline.start.tolist() == pytest.approx([*np.arange(0, length - 2.0, 0.75), length - 2.0])
    assert timeline.duration == pytest.approx(length)
    cuts = []
    for start in timeline.start:
        first = round(start * FPS)
        cuts.append(write(tmp_path / f"{first}.mkv", pictures[first : first + 2 * FPS]))
    expected = bundles[model].predict(cuts)[["p_real", "p_tampered"]].to_numpy()
    assert expected[:, 1].std() > 10 * TOLERANCE
    np.testing.assert_allclose(timeline.probabilities, expected, rtol=0, atol=TOLERANCE)


def test_a_video_shorter_than_a_window_is_one_window(bundles, videos):
    path = next(iter(videos.values()))
    timeline = bundles[CLIPS].timeline(path, window=60.0)
    assert len(timeline.start) == 1
    assert timeline.probabilities[0].tolist() == pytest.approx(
        bundles[CLIPS].predict(path).loc[0, ["p_real", "p_tampered"]].tolist(), abs=TOLERANCE
    )


@pytest.mark.parametrize("lengths", [{"window": 0}, {"stride": -1}, {"window": float("nan")}])
def test_wrong_lengths_are_refused(bundles, long, lengths):
    with pytest.raises(ValueError, match=f"{next(iter(lengths))} is"):
        bundles[CLIPS].timeline(long, **lengths)


def test_a_video_that_cannot_be_read_says_why(bundles, tmp_path):
    with pytest.raises(ValueError, match=r"gone\.mp4 is missing: no such file"):
        bundles[CLIPS].timeline(tmp_path / "gone.mp4")


class Bar:
    """A progress bar that only counts."""

    def __init__(self, total):
        self.total, self.done = total, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.done == self.total

    def update(self, count=1):
        self.done += count


class Unfinished(Bar):
    """The progress bar of what is interrupted."""

    def __exit__(self, *_):
        pass


def cut(**changes):
    return Cut(**{"window": 2.0, "stride": 1.0, "threshold": 0.0} | changes)


@pytest.fixture(scope="module")
def written(bundles, long, tmp_path_factory):
    """What is written for a long video and one that is none."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "<b>bad.mp4").write_text("no video")
    paths = {"long": str(long), "<b>bad": str(folder / "<b>bad.mp4")}
    done = timelines_to(bundles[ENSEMBLE], paths, folder / "windows.csv", cut(), True, Bar)
    assert (done.total, done.predicted) == (2, 1)
    assert done.text.startswith("1 of 2 videos, 5 windows, 1 segments of 6.0 s in total")
    return folder


def test_each_window_has_a_row_and_an_unusable_video_one(written):
    table = pd.read_csv(written / "windows.csv")
    assert table.columns.tolist() == ["video", "start", "end", "p_real", "p_tampered", "status", "reason"]
    assert table.video.tolist() == ["long"] * 5 + ["<b>bad"]
    assert table.start.tolist()[:5] == [0, 1, 2, 3, 4]
    (bad,) = table[table.status != "ok"].to_dict("records")
    assert bad["status"] == "unreadable"
    assert bad["reason"]
    assert np.isnan([bad["start"], bad["p_real"]]).all()


def test_segments_are_written_as_a_table_and_as_captions(written):
    (segment,) = pd.read_csv(written / "segments.csv").to_dict("records")
    table = pd.read_csv(written / "windows.csv")
    assert (segment["video"], segment["label"], segment["start"], segment["end"]) == ("long", "tampered", 0, 6)
    scores = table.p_tampered.round(6)
    assert scores.min() <= segment["mean"] <= segment["peak"] <= scores.max()
    captions = (written / "a long_ video ü.vtt").read_text()
    assert captions.startswith("WEBVTT\n")
    assert "00:00:00.000 --> 00:00:06.000" in captions
    assert len(list(written.glob("*.vtt"))) == 1  # nothing is known of a video that cannot be read
    assert not (written / ".windows.csv.parts").exists()


def test_the_page_shows_the_timeline_and_its_strongest_frames(written):
    page = (written / "windows.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "<b>bad" not in page
    assert 'http-equiv="Content-Security-Policy"' in page


def test_the_threshold_of_the_bundle_is_used_by_default(bundles, long, tmp_path):
    bundle = bundles[FEATURES]
    timelines_to(bundle, {"long": str(long)}, tmp_path / "a.csv", cut(threshold=None), False, Bar)
    default = (tmp_path / "segments.csv").read_text()
    threshold = bundle.description["threshold"]
    timelines_to(bundle, {"long": str(long)}, tmp_path / "a.csv", cut(threshold=threshold), False, Bar)
    assert (tmp_path / "segments.csv").read_text() == default
    assert not (tmp_path / "a.html").exists()


def test_videos_of_one_name_have_captions_each(bundles, long, tmp_path):
    paths = {}
    for name in ("one/clip.mkv", "two/clip.mkv", "three/clip-2.mkv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).symlink_to(long)
        paths[name] = str(tmp_path / name)
    timelines_to(bundles[FEATURES], paths, tmp_path / "out.csv", cut(), False, Bar)
    captions = sorted(tmp_path.glob("*.vtt"))
    assert len(captions) == 3
    assert all("00:00:06.000" in path.read_text() for path in captions)


def test_videos_that_are_done_are_not_decoded_again(bundles, long, tmp_path, monkeypatch):
    """What an interrupted prediction found is used where the video, the bundle and the windows are the same."""
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    paths = {"long": str(long), "bad": str(bad), "again": str(shutil.copy(long, tmp_path / "again.mkv"))}
    timelines_to(bundles[ENSEMBLE], paths, tmp_path / "whole.csv", cut(), True, Bar)
    whole = {name: (tmp_path / name).read_text() for name in ("whole.csv", "segments.csv", "whole.html")}
    watched = []

    def noted(bundle, paths, *arguments):
        for name, path in paths.items():
            watched.append(path)
            if len(watched) == stop:
                raise KeyboardInterrupt
            yield from watch_all(bundle, {name: path}, *arguments)

    monkeypatch.setattr(timelines, "watch_all", noted)
    stop = 3
    with pytest.raises(KeyboardInterrupt):
        timelines_to(bundles[ENSEMBLE], paths, tmp_path / "part.csv", cut(), True, Unfinished)
    stop = None
    timelines_to(bundles[ENSEMBLE], paths, tmp_path / "part.csv", cut(threshold=0.1), False, Bar)
    assert watched == [*paths.values(), paths["again"]]
    assert not list(tmp_path.glob(".*.parts"))

    stop = 7
    with pytest.raises(KeyboardInterrupt):
        timelines_to(bundles[ENSEMBLE], paths, tmp_path / "part.csv", cut(), True, Unfinished)
    (parts,) = tmp_path.glob(".*.parts")
    broken, *_ = sorted(parts.glob("*.npz"), key=lambda file: file.stat().st_size)
    broken.write_text("{}")  # that of the bad video
    timelines_to(bundles[ENSEMBLE], paths, tmp_path / "part.csv", cut(), True, Bar)
    assert watched[4:] == [*paths.values(), paths["bad"], paths["again"]]
    for name, text in whole.items():
        assert (tmp_path / name.replace("whole", "part")).read_text() == text

    stop = len(watched) + 2
    with pytest.raises(KeyboardInterrupt):
        timelines_to(bundles[ENSEMBLE], paths, tmp_path / "part.csv", cut(), True, Unfinished)
    bad.write_text("still no video")
    stop, first = None, len(watched)
    timelines_to(bundles[ENSEMBLE], paths, tmp_path / "part.csv", cut(stride=2.0), True, Bar)
    assert watched[first:] == [*paths.values()]


def test_videos_that_are_decoded_at_the_same_time_change_nothing_of_each_other(bundles, long, tmp_path, monkeypatch):
    (tmp_path / "bad.mp4").write_text("no video")
    paths = {name: str(long) for name in "abc"} | {"bad": str(tmp_path / "bad.mp4"), "d": str(long)}
    together, ready = [], VideoWorker.ready

    def noted(workers):
        together.append(len(workers))
        return ready(workers)

    monkeypatch.setattr(VideoWorker, "ready", noted)
    found = dict(watch_all(bundles[ENSEMBLE], paths, 2.0, 0.25, at_once=3))
    assert {*found} == {*paths}
    assert max(together) == 3
    assert found.pop("bad").status == "unreadable"
    alone = watch(bundles[ENSEMBLE], str(long), 2.0, 0.25)
    assert len(alone.timeline.start) == 17  # more than the models take at once
    for each in found.values():
        assert each.timeline.probabilities.tolist() == alone.timeline.probabilities.tolist()
        assert each.timeline.start.tolist() == alone.timeline.start.tolist()
        assert each.stills == alone.stills


def test_nothing_decodes_on_when_nobody_wants_the_rest(bundles, long):
    before = {child.pid for child in psutil.Process().children()}
    watching = watch_all(bundles[FEATURES], {name: str(long) for name in "abcd"}, 2.0, 0.02, at_once=3)
    next(watching)
    assert {child.pid for child in psutil.Process().children()} - before
    watching.close()
    assert not {child.pid for child in psutil.Process().children()} - before


@pytest.mark.parametrize("name", ["segments.csv", "out.txt"])
def test_a_table_that_would_be_overwritten_is_refused(bundles, long, tmp_path, name):
    with pytest.raises(ValueError, match="output is"):
        timelines_to(bundles[CLIPS], {"long": str(long)}, tmp_path / name, cut(), False, Bar)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_cut_is_refused_before_any_video_is_decoded(bundles, tmp_path):
    with pytest.raises(ValueError, match="low is"):
        timelines_to(bundles[EMBEDDINGS], {"a": "gone.mp4"}, tmp_path / "a.csv", cut(low=0.5), False, Bar)
