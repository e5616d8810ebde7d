"""No video is missing from the page of timelines."""

from contextlib import nullcontext
from types import SimpleNamespace

from helpers.made_up_timeline import timeline

from clipfold.delivery import timelines
from clipfold.delivery.profiles import BALANCED
from clipfold.delivery.timelines import Cut, timelines_to
from clipfold.delivery.windows import Watched
from clipfold.status import Status
from clipfold.video.container import Unusable


class Bar:
    def update(self):
        pass


def run(output, paths, cut, page=True):
    facts = {"id": "1", "modality": "video", "classes": ["calm", "fight"], "profile": BALANCED}
    bundle = SimpleNamespace(**facts, threshold_of=lambda label: 0.5)
    return timelines_to(bundle, paths, output, cut, page, lambda total: nullcontext(Bar()))


def test_a_video_that_cannot_be_read_is_on_the_page(tmp_path, monkeypatch):
    def watch_all(bundle, paths, *arguments):
        for name in paths:
            gone = Unusable(Status.MISSING, "no such <file>")
            yield name, gone if name == "gone" else Watched(timeline([0.1, 0.9], video=name), [])

    monkeypatch.setattr(timelines, "watch_all", watch_all)
    done = run(tmp_path / "w.csv", {"a": "a.mp4", "gone": "gone.mp4"}, Cut(4.0, 1.0))
    assert (done.total, done.predicted) == (2, 1)
    assert "1 more video could not be read: gone, missing (no such &lt;file&gt;)." in (tmp_path / "w.html").read_text()
