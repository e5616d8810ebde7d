"""What decodes for less: without the loop filter, pixels nearly right; with several threads, the same frames."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.corpus.movies import movie

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.cache import Cache
from clipfold.video.decode import decode_video
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe import probe_video
from clipfold.video.probe_shard import probe_shard
from clipfold.video.stream import Stream
from clipfold.video.views import Uniform

CODECS = {
    "h264.mp4": {"codec": "libx264", "options": {"crf": "35", "x264-params": "keyint=25:bframes=3"}},
    "hevc.mp4": {"codec": "libx265", "options": {"crf": "35", "x265-params": "log-level=none:keyint=25"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "25", "crf": "50", "b": "0"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "0"}},
}
VIEWS = {"clips": Uniform(frames=8, size=64)}


def write(folder, name):
    path = folder / name
    path.write_bytes(movie(path, frames=60, size=(160, 96), **CODECS[name]))
    return path


def stream_of(path):
    return Stream.of(probe_video(str(path), ProbeSettings()) | {"id": "a", "path": str(path)})


@pytest.mark.parametrize("name", CODECS)
def test_without_the_loop_filter_pixels_are_nearly_those_of_the_video(tmp_path, name):
    stream = stream_of(write(tmp_path, name))
    exact, cheap = (decode_video(replace(stream, loop_filter=on), VIEWS) for on in (True, False))
    assert cheap.facts["status"] == exact.facts["status"]
    assert cheap.facts["clips_frames"].tolist() == exact.facts["clips_frames"].tolist()
    difference = np.abs(cheap.arrays["clips"].astype(int) - exact.arrays["clips"])
    assert difference.mean() < 4
    assert difference.any() == (name in ("h264.mp4", "hevc.mp4"))


@pytest.mark.parametrize("name", CODECS)
def test_threads_of_the_decoder_give_the_same_frames(tmp_path, name):
    stream = stream_of(write(tmp_path, name))
    one, two = (decode_video(replace(stream, threads=threads), VIEWS) for threads in (1, 2))
    np.testing.assert_array_equal(one.arrays["clips"], two.arrays["clips"])
    assert one.facts["status"] == two.facts["status"]
    assert one.facts["decoded"] == two.facts["decoded"]


def test_a_shard_is_decoded_as_set_and_a_cache_tells_both_apart(tmp_path):
    path, cache = write(tmp_path, "h264.mp4"), Cache(tmp_path / "cache", "code")
    metadata, found = tmp_path / "metadata.parquet", []
    probe_shard({"a": str(path)}, metadata, ProbeSettings(), 1)
    for on in (True, False, True):
        settings = DecodeSettings(size=64, loop_filter=on, views={"clips": {"kind": "uniform", "frames": 8}})
        arrays = {"clips": tmp_path / "clips.npy"}
        decode_shard({"a": str(path)}, metadata, arrays, tmp_path / "index.parquet", settings, 1, cache=cache)
        found.append(np.load(arrays["clips"]))
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()
