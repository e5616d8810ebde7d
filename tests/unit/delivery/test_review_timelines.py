"""What is asked of a timeline is checked before any video is decoded, and no video is missing from the page."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from helpers.made_up_timeline import timeline

from clipfold.delivery import timelines
from clipfold.delivery.timelines import Cut, timelines_to
from clipfold.delivery.windows import Watched
from clipfold.status import Status
from clipfold.video.container import Unusable


class Bar:
    def update(self):
        pass


def run(output, paths, cut, page=True):
    bundle = SimpleNamespace(description={"threshold": 0.5}, classes=["calm", "fight"])
    return timelines_to(bundle, paths, output, cut, page, lambda total: nullcontext(Bar()))


@pytest.mark.parametrize("lengths", [{"window": 0.0}, {"stride": 0.0}])
def test_lengths_of_zero_are_refused(lengths):
    with pytest.raises(ValueError, match="use a duration above 0"):
        Cut(**{"window": 4.0, "stride": 1.0} | lengths)


@pytest.mark.parametrize("wrong", [{"threshold": 1.5}, {"threshold": 0.5, "low": 0.9}, {"gap": -1.0}])
def test_wrong_limits_of_segments_are_refused_before_decoding(tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(timelines, "watch", lambda *_: pytest.fail("a video was decoded"))
    with pytest.raises(ValueError, match=r"threshold|low|gap"):
        run(tmp_path / "w.csv", {"a": "a.mp4"}, Cut(4.0, 1.0, **wrong))
    assert not list(tmp_path.iterdir())


def test_a_video_that_cannot_be_read_is_on_the_page(tmp_path, monkeypatch):
    def watch(bundle, path, window, stride, name):
        if name == "gone":
            raise Unusable(Status.MISSING, "no such <file>")
        return Watched(timeline([0.1, 0.9], video=name), [])

    monkeypatch.setattr(timelines, "watch", watch)
    done = run(tmp_path / "w.csv", {"a": "a.mp4", "gone": "gone.mp4"}, Cut(4.0, 1.0))
    assert (done.total, done.predicted) == (2, 1)
    assert "1 more video could not be read: gone, missing (no such &lt;file&gt;)." in (tmp_path / "w.html").read_text()
