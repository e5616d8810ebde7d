"""Test that rare decoders run only where the settings ask for them."""

from helpers.corpus.movies import movie

from clipfold.settings import ProbeSettings
from clipfold.video.probe import probe_video


def test_a_rare_codec_names_itself_and_the_setting_that_opens_it(tmp_path):
    path = tmp_path / "rare.mkv"
    path.write_bytes(movie(path, "mkv", codec="snow"))
    facts = probe_video(str(path), ProbeSettings())
    assert facts["status"] == "unsupported_codec"
    assert "'snow'" in facts["reason"]
    assert "probe.codecs: all" in facts["reason"]
    assert probe_video(str(path), ProbeSettings(codecs="all"))["status"] == "ok"
