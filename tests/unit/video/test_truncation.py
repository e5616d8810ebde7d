"""Test that a cut file is told from a whole one by its bytes, not by the counts and durations in its header."""

import random
import subprocess

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from clipfold.settings import ProbeSettings
from clipfold.video.probe import probe_video

LATE = ["-output_ts_offset", "60"]
EARLY = ["-output_ts_offset", "-0.2", "-avoid_negative_ts", "disabled"]
LIVE = ["-f", "matroska", "-live", "1", "-cluster_time_limit", "300"]
FRAGMENTS = ["-movflags", "frag_keyframe+empty_moov"]
WHOLE = {
    "late.mkv": ["libx264", *LATE],
    "late.webm": ["libvpx", *LATE],
    "late.wmv": ["wmv2", *LATE],
    "late.mp4": ["libx264", *LATE],
    "late.mov": ["libx264", *LATE],
    "late.flv": ["flv1", *LATE],
    "late.nut": ["mpeg4", *LATE],
    "late.ts": ["libx264", *LATE],
    "late.3gp": ["mpeg4", *LATE],
    "late.fragments.mp4": ["libx264", *FRAGMENTS, *LATE],
    "early.mp4": ["libx264", *EARLY],
    "live.mkv": ["libx264", *LIVE],
    "live.webm": ["libvpx", *LIVE],
    "reordered.mkv": ["libx264", "-bf", "3", *LATE],
    "reordered.avi": ["mpeg4", "-bf", "2"],
    "reordered.fragments.mp4": ["libx264", "-bf", "3", *FRAGMENTS],
    "plain.asf": ["msmpeg4"],
    "plain.mpg": ["mpeg2video"],
    "plain.vob": ["mpeg2video"],
    "plain.mxf": ["mpeg2video"],
    "plain.ogv": ["libtheora"],
    "held.avi": ["mpeg4", "-vf", "select='not(between(mod(n,10),3,6))'", "-fps_mode", "vfr"],
    "longer_sound.mkv": ["libx264", "SOUND"],
    "longer_sound.mp4": ["libx264", "SOUND"],
    "longer_sound.avi": ["mpeg4", "SOUND"],
}
MUST_FAIL = {".mkv", ".webm", ".wmv", ".asf", ".flv", ".avi"}  # containers that store sizes and can be read in part


def make(folder, name):
    codec, *rest = WHOLE[name]
    sound = ["-f", "lavfi", "-i", "sine=d=5", "-c:a", "mp2"] if "SOUND" in rest else []
    rest = [each for each in rest if each != "SOUND"]
    source = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=2", *sound]
    settings = ["-threads", "1", "-pix_fmt", "yuv420p", "-g", "25", "-c:v", codec, *rest]
    run = [get_ffmpeg_exe(), "-v", "error", "-y", *source, *settings, str(folder / name)]
    subprocess.run(run, check=True, capture_output=True)
    return folder / name


def shown(path):
    """Count the pictures that the ffmpeg program shows."""
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    lines = subprocess.run([*command, "-f", "framehash", "-"], capture_output=True, text=True).stdout.splitlines()
    return sum(not line.startswith("#") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_ok_and_cut_ones_are_not(tmp_path, name):
    path = make(tmp_path, name)
    facts = probe_video(str(path), ProbeSettings())
    assert (facts["status"], facts["reason"], facts["frames"]) == ("ok", "", shown(path))
    data, rng = path.read_bytes(), random.Random(name)
    for _ in range(6):
        path.write_bytes(data[: rng.randrange(len(data) // 3, len(data) * 9 // 10)])
        status = probe_video(str(path), ProbeSettings())["status"]
        assert status in {"ok", "truncated", "unreadable", "corrupt"}
        if path.suffix in MUST_FAIL and not name.startswith("live"):
            assert status == "truncated"
