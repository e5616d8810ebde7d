"""Test that decoded frames equal those of a full decode and those of the ffmpeg program, bit for bit."""

import random
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from helpers.corpus.movies import movie

from clipfold.settings import ProbeSettings
from clipfold.video.decode import decode_video
from clipfold.video.decode_parts import decode_parts
from clipfold.video.geometry import Box, displayed, letterbox
from clipfold.video.parts import Part
from clipfold.video.picture import Picture
from clipfold.video.probe import probe_video
from clipfold.video.sampling import uniform
from clipfold.video.stream import Stream
from clipfold.video.views import Uniform

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SIZE = (128, 96)
FRAMES = 50


@dataclass(frozen=True)
class Chosen:
    """A view of the given frames at their own size."""

    indices: tuple[int, ...]
    region = None

    @property
    def shape(self):
        return (len(self.indices), 128, 128, 3)

    def select(self, timeline):
        return list(self.indices)

    def take(self, picture):
        return picture.letterboxed(128, "rgb24")

    def content(self, picture):
        return Box(0, 0, 128, 128)

    def joined(self, box, other):
        return box.around(other)


def x264(params: str, **changes) -> dict:
    return {"codec": "libx264", "options": {"preset": "medium", "x264-params": params}} | changes


def x265(params: str, **changes) -> dict:
    quiet = "log-level=none:pools=1:frame-threads=1:"
    return {"codec": "libx265", "options": {"preset": "fast", "x265-params": quiet + params}} | changes


STREAMS = {
    "closed.mp4": x264("keyint=12"),
    "long.mp4": x264("keyint=250"),
    "pyramid.mkv": x264("keyint=24:bframes=7:b-pyramid=normal:ref=4:b-adapt=0"),
    "open.mkv": x264("keyint=12:open-gop=1:bframes=3:b-adapt=0"),
    "open.mp4": x264("keyint=12:open-gop=1:bframes=3:b-adapt=0"),
    "open.ts": x264("keyint=12:open-gop=1:bframes=3:b-adapt=0"),
    "intra_refresh.mp4": x264("keyint=12:intra-refresh=1"),
    "interlaced.mp4": x264("keyint=12:tff=1"),
    "no_b.mp4": x264("keyint=12:bframes=0"),
    "ten_bit.mp4": x264("keyint=12", pix_fmt="yuv420p10le"),
    "cra.mkv": x265("keyint=12:open-gop=1:bframes=4:b-adapt=0"),
    "cra.mp4": x265("keyint=12:open-gop=1:bframes=4:b-adapt=0"),
    "closed_hevc.mp4": x265("keyint=12:open-gop=0:bframes=4"),
    "ten_bit_hevc.mp4": x265("keyint=12", pix_fmt="yuv420p10le"),
    "mpeg2.mpg": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2", "g": "12"}},
    "mpeg2_open.ts": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2", "g": "12", "flags": "-cgop"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12"}},
    "mpeg4_b.mp4": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "12"}},
    "av1.mkv": {"codec": "libsvtav1", "options": {"g": "12"}},
    "reordered.avi": x264("keyint=12:bframes=3"),
    "reordered_mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "raw.h264": x264("keyint=12:bframes=3", fmt="h264"),
    "jitter.mkv": x264("keyint=12", pts=[i * 3 + (i * 7) % 3 for i in range(FRAMES)], tick=Fraction(1, 90)),
}
COUNTED = {"raw.h264", "reordered.avi", "reordered_mpeg4.avi"}  # no timestamps


@pytest.fixture(scope="module", params=STREAMS)
def film(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("exact") / request.param
    path.write_bytes(movie(path, **({"frames": FRAMES, "size": SIZE} | STREAMS[request.param])))
    return path


def probed(path: Path) -> dict:
    facts = probe_video(str(path), ProbeSettings()) | {"id": "a", "path": str(path)}
    assert facts["status"] == "ok", facts["reason"]
    return facts


def everything(path: Path) -> list[np.ndarray]:
    """Return all frames of a full decode, in display order."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_count = 1
        return [Picture(frame, None).letterboxed(128, "rgb24") for frame in container.decode(video)]


def test_frames_equal_those_of_a_full_decode(film):
    facts = probed(film)
    truth = everything(film)
    assert facts["frames"] == len(truth)
    draw = random.Random(film.name)
    choices = [
        (0,),
        (len(truth) - 1,),
        (13, 14),
        (11,),
        (5, 40),
        *(tuple(sorted(draw.sample(range(len(truth)), draw.randint(1, 16)))) for _ in range(12)),
    ]
    for indices in choices:
        decoded = decode_video(Stream.of(facts), {"chosen": Chosen(indices)})
        assert decoded.facts["status"] == "ok"
        assert bool(decoded.facts["warning"]) == (film.name in COUNTED)
        for index, frame in zip(indices, decoded.arrays["chosen"], strict=True):
            assert np.array_equal(frame, truth[index]), f"frame {index} of {indices}"


def times(path: Path, rate: float) -> list[float]:
    """Return the times of all frames, counted from the first."""
    with av.open(str(path)) as container:
        found = [frame.time for frame in container.decode(video=0)]
    if None in found or found != sorted(set(found)):
        found = [i / rate for i in range(len(found))]
    return [time - found[0] for time in found]


def test_parts_hold_the_frames_of_their_times_in_any_number_and_order(film):
    facts, truth = probed(film), everything(film)
    when = times(film, facts["fps"])
    draw = random.Random(film.name)
    view, end = Uniform(frames=3, size=128), when[-1] + 1 / 24
    cuts = [(draw.uniform(0, end), draw.uniform(0, end)) for _ in range(20)]
    cuts = [(None, None), (None, end / 3), (end / 2, None), (0.0, end), *((min(c), max(c)) for c in cuts)]
    parts = [Part(str(i), start, stop) for i, (start, stop) in enumerate(cuts)]
    given = {
        part.id: [i for i, t in enumerate(when) if (part.start or 0) <= t + 1e-6 < (part.end or 1e9)] for part in parts
    }
    found = dict(decode_parts(Stream.of(facts), {"clip": view}, parts))
    assert found.keys() == set(parts)
    for part, decoded in found.items():
        if not given[part.id]:
            assert decoded.status == "no_frames"
            continue
        assert (decoded.facts["status"], decoded.facts["reason"]) == ("ok", "")
        wanted = uniform(len(given[part.id]), 3)
        assert decoded.facts["clip_frames"].tolist() == wanted
        assert np.array_equal(decoded.arrays["clip"], [truth[given[part.id][i]] for i in wanted])
    if film.name not in COUNTED:
        assert sum(decoded.facts["decoded"] for part, decoded in found.items() if given[part.id]) <= len(truth)


def test_unneeded_frames_are_not_decoded(film):
    decoded = decode_video(Stream.of(probed(film)), {"chosen": Chosen((0,))})
    assert film.name in COUNTED or decoded.facts["decoded"] <= 12


# --- against the program ----------------------------------------------------------------------------------------------


def program(path: Path, filters: str) -> np.ndarray:
    """Return every frame from the ffmpeg program, rotated as the file says."""
    command = [FFMPEG, "-v", "error", "-i", str(path), "-vf", filters, "-fps_mode", "passthrough"]
    done = subprocess.run([*command, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8)


def tall(stream) -> None:
    stream.set_display_rotation(90)


def wide_pixels(stream) -> None:
    stream.sample_aspect_ratio = Fraction(16, 11)
    stream.codec_context.sample_aspect_ratio = Fraction(16, 11)


PICTURES = {
    "plain.mp4": x264("keyint=12"),
    "rotated.mp4": x264("keyint=12", stream=tall),
    "upside_down.mp4": x264("keyint=12", stream=lambda stream: stream.set_display_rotation(180)),
    "wide_pixels.mp4": x264("keyint=12", stream=wide_pixels),
    "full_range.mp4": x264("keyint=12:fullrange=on", pix_fmt="yuvj420p"),
    "ten_bit.mp4": x264("keyint=12", pix_fmt="yuv420p10le"),
    "ten_bit_hevc.mp4": x265("keyint=12", pix_fmt="yuv420p10le"),
    "yuv444.mp4": x264("keyint=12", pix_fmt="yuv444p"),
    "interlaced.mp4": x264("keyint=12:tff=1"),
    "bt709.mp4": x264("keyint=12:colormatrix=bt709"),
    "alpha.webm": {"codec": "libvpx-vp9", "pix_fmt": "yuva420p"},
    "alpha.mov": {"codec": "qtrle", "pix_fmt": "argb"},
    "rgb.mkv": {"codec": "ffv1", "pix_fmt": "bgr0"},
    "gray.avi": {"codec": "ffv1", "pix_fmt": "gray"},
    "palette.gif": {"codec": "gif", "pix_fmt": "rgb8", "rate": 10},
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_equal_those_of_the_ffmpeg_program(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(movie(path, **({"frames": 12, "size": SIZE} | PICTURES[name])))
    facts = probed(path)
    clip = decode_video(Stream.of(facts), {"clip": Uniform(frames=12, size=64)})
    top, left, height, width = clip.facts["clip_box"]
    ours = clip.arrays["clip"][:, top : top + height, left : left + width]
    # The library assumes that chroma lies left and resizes fields separately; the program's filter needs to be told.
    told = (":in_chroma_loc=left" if "420" in facts["pix_fmt"] and name != "alpha.webm" else "") + ":interl=-1"
    theirs = program(path, filters=f"scale={width}:{height}:flags=area{told}").reshape(-1, height, width, 3)
    assert len(theirs) == facts["frames"]
    difference = np.abs(ours.astype(int) - theirs[clip.facts["clip_frames"]])
    if facts["rotation"]:  # the program rotates before it resizes: rounding differs
        assert difference.mean() < 4
        for turns in (1, 2, 3):
            turned = np.rot90(ours, turns, axes=(1, 2))
            assert turned.shape != theirs.shape or np.abs(turned.astype(int) - theirs).mean() > 20
    else:
        assert difference.max() == 0


def test_box_follows_rotation_and_pixel_shape(tmp_path):
    for name, (width, height) in {"rotated.mp4": (96, 128), "wide_pixels.mp4": (186, 96)}.items():
        path = tmp_path / name
        path.write_bytes(movie(path, **({"frames": 12, "size": SIZE} | PICTURES[name])))
        facts = probed(path)
        assert (facts["width"], facts["height"]) == (width, height)
        assert displayed(*SIZE, Stream.of(facts).aspect, facts["rotation"]) == (width, height)
        box = letterbox(width, height, 64)
        clip = decode_video(Stream.of(facts), {"clip": Uniform(frames=2, size=64)})
        assert clip.facts["clip_box"] == [box.top, box.left, box.height, box.width]
