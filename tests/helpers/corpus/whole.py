"""Whole files whose headers count something else than frames, made and counted by the ffmpeg program."""

import subprocess
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

_LATE = ["-output_ts_offset", "60"]
_EARLY = ["-output_ts_offset", "-0.2", "-avoid_negative_ts", "disabled"]
_BEHEADED = ["-bsf:v", "noise=drop=lt(n\\,20)"]  # begins between keyframes
_REFRESHED = ["-x264-params", "intra-refresh=1:keyint=12:bframes=0"]  # no keyframes but the first
_LIVE = ["-f", "matroska", "-live", "1", "-cluster_time_limit", "300"]
_FRAGMENTS = ["-movflags", "frag_keyframe+empty_moov"]
_SOUND = "with sound"  # longer than the pictures

WHOLE = {
    "late.mkv": ["libx264", *_LATE],
    "late.webm": ["libvpx", *_LATE],
    "late.wmv": ["wmv2", *_LATE],
    "late.mp4": ["libx264", *_LATE],
    "late.mov": ["libx264", *_LATE],
    "late.flv": ["flv1", *_LATE],
    "late.nut": ["mpeg4", *_LATE],
    "late.ts": ["libx264", *_LATE],
    "late.3gp": ["mpeg4", *_LATE],
    "late.fragments.mp4": ["libx264", *_FRAGMENTS, *_LATE],
    "early.mp4": ["libx264", *_EARLY],
    "early.mov": ["libx264", *_EARLY],
    "early.ts": ["libx264", *_EARLY],
    "early.flv": ["flv1", *_EARLY],
    "early.webm": ["libvpx", *_EARLY],
    "early.mkv": ["libx264", *_EARLY],
    "early.plain.mkv": ["libx264", "-bf", "0", *_EARLY],
    "early.hevc.mkv": ["libx265", "-x265-params", "log-level=none", *_EARLY],
    "early.ogv": ["libtheora", *_EARLY],
    "beheaded.mkv": ["libx264", *_BEHEADED],
    "beheaded.mp4": ["libx264", *_BEHEADED],
    "beheaded.flv": ["libx264", *_BEHEADED],
    "beheaded.mpeg2.ts": ["mpeg2video", "-bf", "2", *_BEHEADED],
    "beheaded.mpeg4.avi": ["mpeg4", *_BEHEADED],
    "beheaded.hevc.mov": ["libx265", "-x265-params", "log-level=none:open-gop=1", *_BEHEADED],
    "beheaded.open.ts": ["libx264", "-x264-params", "open-gop=1:bframes=3:b-adapt=0", *_BEHEADED],
    "beheaded.vp9.webm": ["libvpx-vp9", *_BEHEADED],
    "beheaded.av1.mkv": ["libsvtav1", *_BEHEADED],
    "refreshed.mkv": ["libx264", *_REFRESHED, *_BEHEADED],
    "refreshed.mp4": ["libx264", *_REFRESHED, *_BEHEADED],
    "faststart.mp4": ["libx264", "-movflags", "faststart"],
    "live.mkv": ["libx264", *_LIVE],
    "live.webm": ["libvpx", *_LIVE],
    "reordered.mkv": ["libx264", "-bf", "3", *_LATE],
    "reordered.avi": ["mpeg4", "-bf", "2"],
    "reordered.fragments.mp4": ["libx264", "-bf", "3", *_FRAGMENTS],
    "plain.asf": ["msmpeg4"],
    "plain.mpg": ["mpeg2video"],
    "plain.vob": ["mpeg2video"],
    "plain.mxf": ["mpeg2video"],
    "plain.ogv": ["libtheora"],
    "held.avi": ["mpeg4", "-vf", "select='not(between(mod(n,10),3,6))'", "-fps_mode", "vfr"],
    "longer_sound.mkv": ["libx264", _SOUND],
    "longer_sound.mp4": ["libx264", _SOUND],
    "longer_sound.avi": ["mpeg4", _SOUND],
    "longer_sound.flv": ["flv1", _SOUND],
}
"""Name -> encoder and options."""


def write_whole(folder: Path, name: str) -> Path:
    """Write one of the files of `WHOLE`: 50 pictures at most."""
    codec, *options = WHOLE[name]
    sound = ["-f", "lavfi", "-i", "sine=d=5", "-c:a", "mp2" if name != "longer_sound.flv" else "aac"]
    source = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=2", *(sound if _SOUND in options else [])]
    options = [each for each in options if each != _SOUND]
    settings = ["-threads", "1", "-pix_fmt", "yuv420p", "-g", "25", "-c:v", codec, *options]
    command = [get_ffmpeg_exe(), "-v", "error", "-y", *source, *settings, str(folder / name)]
    subprocess.run(command, check=True, capture_output=True)
    return folder / name


def shown(path: Path) -> tuple[int, bool]:
    """Count the pictures that the ffmpeg program shows; also say whether it does so without an error."""
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    done = subprocess.run([*command, "-f", "framehash", "-"], capture_output=True, text=True)
    return sum(not line.startswith("#") for line in done.stdout.splitlines()), not done.stderr
