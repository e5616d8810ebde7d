"""Test that a cut file is told from a whole one by its bytes, not by the counts and durations in its header."""

import random

import pytest
from helpers.corpus.whole import WHOLE, shown, write_whole

from clipfold.settings import ProbeSettings
from clipfold.video.decode import Stream, decode_video
from clipfold.video.probe import probe_video
from clipfold.video.views import Uniform

MUST_FAIL = {".mkv", ".webm", ".wmv", ".asf", ".flv", ".avi"}  # containers that store sizes and can be read in part


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_ok_and_cut_ones_are_not(tmp_path, name):
    path = write_whole(tmp_path, name)
    facts = probe_video(str(path), ProbeSettings()) | {"id": name, "path": str(path)}
    assert (facts["status"], facts["reason"], facts["frames"]) == ("ok", "", shown(path)[0])
    assert path.suffix != ".mkv" or facts["fps"] == pytest.approx(25, rel=0.02)
    clip = decode_video(Stream.of(facts), {"clip": Uniform(frames=64, size=32)}).facts
    assert (clip["status"], len(set(clip["clip_frames"]))) == ("ok", facts["frames"])
    data, rng = path.read_bytes(), random.Random(name)
    for _ in range(6):
        path.write_bytes(data[: rng.randrange(len(data) // 3, len(data) * 9 // 10)])
        status = probe_video(str(path), ProbeSettings())["status"]
        assert status in {"ok", "truncated", "unreadable", "corrupt"}
        if path.suffix in MUST_FAIL and not name.startswith("live"):
            assert status == "truncated"
