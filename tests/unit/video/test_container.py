"""Test that a file which is no video says what it is."""

import gzip
import io
import zipfile

import pytest
from helpers.corpus.movies import movie

from clipfold.settings import ProbeSettings
from clipfold.video.probe import probe_video


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.mp4", bytes(100))
    return file.getvalue()


OTHERS = {
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n",
    "git annex get": b"/annex/objects/SHA256E-s31390--f50d7ac4c6b9.mp4\n",
    "web page": b"\n<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
    "web page or": b"<html><head></head></html>",
    "XML": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "JSON": b'{"error": {"code": 404}}',
    "PDF": b"%PDF-1.7\n",
    "archive": zipped(),
    "unpack it": gzip.compress(bytes(1000)),
}
"""A part of the reason -> content."""


@pytest.mark.parametrize("words", OTHERS)
def test_a_file_that_is_no_video_says_what_it_is(tmp_path, words):
    path = tmp_path / "a.mp4"
    path.write_bytes(OTHERS[words])
    facts = probe_video(str(path), ProbeSettings())
    assert facts["status"] == "unreadable"
    assert words in facts["reason"]


@pytest.mark.parametrize("codecs", ["usual", "all"])
def test_animated_webp_is_told_from_a_still_one(tmp_path, codecs):
    path = tmp_path / "a.webp"
    settings = ProbeSettings(codecs=codecs)
    path.write_bytes(movie(path, codec="libwebp_anim"))
    facts = probe_video(str(path), settings)
    assert (facts["status"], facts["reason"][:13]) == ("unsupported_codec", "animated WebP")
    path.write_bytes(movie(path, codec="libwebp", frames=1))
    assert "animated" not in probe_video(str(path), settings)["reason"]
