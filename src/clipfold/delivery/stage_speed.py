"""Measure how fast one core takes each stage of a prediction: decode, prepare, model."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipfold.checks import require
from clipfold.resources.gpus import visible_gpus
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.status import Status, Unusable
from clipfold.storage.files import Array
from clipfold.video.views import Timeline, View, build_views

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

SIZES = {"480p": (854, 480), "1080p": (1920, 1080), "2160p": (3840, 2160), "4320p": (7680, 4320)}
"""Name -> width and height in pixels of the films that are made."""

BYTES_PER_PIXEL = 60
"""Memory in bytes to encode and decode a pixel: frames that codecs hold back, of 1.5 bytes each."""

RUNS = 3
"""Measured predictions, of which the fastest counts, after one that is not measured."""

Model = Callable[[Array, Array], Any]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one core works on a video, in frames of the video per second.

    All but the model are by CPU time, which other programs hardly change; a model may run on a GPU.

    Args:
        name: Its size or file.
        frames: Frames of the video.
        floor: `ffmpeg` decodes all of them and keeps nothing.
        decode: clipfold decodes those it needs, on the way to those it keeps.
        prepare: The kept frames become views, clips among them.
        model: The video's clip is predicted once.
    """

    name: str
    frames: int
    floor: float
    decode: float
    prepare: float
    model: float

    @property
    def together(self) -> float:
        """Frames of the video per second of one core through decode, prepare and model."""
        return 1 / (1 / self.decode + 1 / self.prepare + 1 / self.model)

    @property
    def bound(self) -> str:
        """The slowest stage."""
        return min(("decode", "prepare", "model"), key=lambda stage: float(getattr(self, stage)))


def find_ffmpeg() -> str:
    """Return the path of the program `ffmpeg`.

    Raises:
        ValueError: There is none.
    """
    found = shutil.which("ffmpeg")
    if not found:
        try:
            from imageio_ffmpeg import get_ffmpeg_exe  # type: ignore[import-untyped]

            found = get_ffmpeg_exe()
        except (ImportError, RuntimeError):
            pass
    require(found is not None, "ffmpeg", found, "install ffmpeg, or `pip install imageio-ffmpeg`")
    assert found is not None
    return found


def make_film(ffmpeg: str, folder: Path, name: str) -> Path:
    """Make a second of FFmpeg's test picture as H.264, 25 frames; `name` is one of `SIZES`."""
    width, height = SIZES[name]
    path = folder / f"{name}.mp4"
    source = f"testsrc2=size={width}x{height}:rate=25:duration=1"
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    _run(ffmpeg, "-f", "lavfi", "-i", source, *encoder, str(path))
    return path


def too_large(name: str, spent: float, last: float, seconds: float) -> str:
    """Say why a film is not made and measured; empty if it can be.

    Args:
        name: One of `SIZES`.
        spent: Seconds since the start.
        last: Seconds that the size before took, of which each has four times as many pixels.
        seconds: Most seconds in all.
    """
    width, height = SIZES[name]
    needed = BYTES_PER_PIXEL * width * height
    free = _free_memory()
    if needed > free:
        return f"needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB is free"
    if spent + 4 * last > seconds:
        return f"would take {4 * last:.0f} s more, after {spent:.0f} s of {seconds:.0f} s"
    return ""


def measure(ffmpeg: str, path: Path, name: str, views: Mapping[str, View], model: Model) -> Speed:
    """Measure a video on one core.

    Args:
        ffmpeg: The program.
        path: The video.
        name: What to call it.
        views: What is kept of it.
        model: Predicts clips, uint8 (1, frames, size, size, 3), and their content boxes, int64 (1, 4).

    Raises:
        ValueError: The video cannot be measured.
    """
    import numpy as np

    from clipfold.video.decode import Keeper, Shot, index_of
    from clipfold.video.probe import probe_video
    from clipfold.video.stream import Counts, Stream, decoded_frames

    probed = probe_video(str(path), ProbeSettings())
    require(probed["status"] == Status.OK, "video", str(path), f"use another: {probed['reason'] or probed['status']}")
    stream = Stream.of(probed | {"id": "", "path": str(path)})
    order = stream.order()
    if order is None:
        raise ValueError(f"video is {str(path)!r}: use another, its timestamps are missing or duplicated")
    floor = _floor(ffmpeg, path)

    start, preparing = time.process_time(), 0.0
    keeper = Keeper(views, Timeline("", stream.times(order), stream.shown_keyframes(order)))
    steps = stream.plan(order, set(stream.keyframes), keeper.wanted)
    try:
        for frame, _ in decoded_frames(stream, steps, Counts(), analyse=False):
            came = time.process_time()
            keeper.offer(Shot(frame, stream.aspect), index_of(frame, order))
            preparing += time.process_time() - came
            del frame
    except Unusable as unusable:
        raise ValueError(f"video is {str(path)!r}: use another, {unusable.reason}") from None
    require(not keeper.missing, "video", str(path), "use another, some of its frames cannot be decoded")
    decoding = time.process_time() - start - preparing
    start = time.process_time()
    taken = keeper.decoded({})
    preparing += time.process_time() - start

    boxes = np.array([taken.facts["clips_box"]], np.int64)
    predicting = _fastest(lambda: model(taken.arrays["clips"][None], boxes))
    return Speed(name, len(order), *(len(order) / took for took in (floor, decoding, preparing, predicting)))


def standard_views() -> dict[str, View]:
    """Return the views that a run keeps by default."""
    settings = DecodeSettings()
    return build_views(settings.views, settings.size)


def fits_of(bundle: "OpenBundle") -> Model:
    """Return what predicts by all fits of a bundle."""
    return lambda clips, boxes: bundle.probabilities(clips=clips, boxes=boxes)


def naive_cnn() -> Model:
    """Return the smallest network for clips, with its default settings and random weights, on the CPU."""
    import torch

    from clipfold.clips.resize import resize_clip
    from clipfold.models.architectures.naive_cnn import build
    from clipfold.models.catalog import ARCHITECTURES

    settings = ARCHITECTURES["naive_cnn"].settings
    network = build(settings, 2).eval()

    @torch.inference_mode()
    def predict(clips: Array, _: Array) -> Any:
        small = torch.from_numpy(resize_clip(clips[0], settings["size"]))
        return network(((small / 255 - 0.45) / 0.225).permute(3, 0, 1, 2)[None])

    return predict


def table(speeds: Sequence[Speed]) -> Iterator[str]:
    """Yield the lines of a table."""
    width = max(len(speed.name) for speed in speeds)
    columns = ("FFMPEG", "DECODE", "/FFMPEG", "PREPARE", "MODEL", "TOGETHER")
    yield f"{'VIDEO':{width}}  FRAMES  {'  '.join(f'{name:>8}' for name in columns)}  BOUND BY"
    for speed in speeds:
        values = (speed.floor, speed.decode, speed.decode / speed.floor, speed.prepare, speed.model, speed.together)
        figures = "  ".join(f"{value:8.{2 if value < 10 else 0}f}" for value in values)
        yield f"{speed.name:{width}}  {speed.frames:6}  {figures}  {speed.bound}"


def advice(speeds: Sequence[Speed], cores: int) -> str:
    """Say in one sentence what bounds this machine, by the last video, and what would help most."""
    speed = speeds[-1]
    share = 100 * speed.together / float(getattr(speed, speed.bound))
    model_helps = "choose a smaller model"
    if not visible_gpus():
        model_helps = "use a machine with a GPU, or a smaller model"
    helps = {
        "decode": f"give it more cores; `--workers` is {cores} here already, one for each",
        "prepare": "keep smaller or fewer views, `decode.size` and `decode.views` of the config",
        "model": model_helps,
    }[speed.bound]
    return f"At {speed.name}, {speed.bound} bounds this machine ({share:.0f} % of a core's time): {helps}."


def _free_memory() -> int:
    """Return the bytes that are free, or all of the machine where the system does not say."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return 1024 * int(found[1]) if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _floor(ffmpeg: str, path: Path) -> float:
    """Return the CPU time in s in which `ffmpeg` decodes a video on one thread, without the start of the program."""
    local = ("-protocol_whitelist", "file", "-i", f"file:{path}")  # a playlist or a name like a URL opens nothing else
    said = _run(ffmpeg, "-benchmark", "-threads", "1", *local, "-map", "0:v:0", "-f", "null", "-")
    found = re.search(r"utime=([\d.]+)s stime=([\d.]+)s", said)
    require(found is not None, "ffmpeg", ffmpeg, "use version 4 or later, which tells its time")
    assert found is not None
    return max(float(found[1]) + float(found[2]), 0.001)


def _run(ffmpeg: str, *arguments: str) -> str:
    """Run `ffmpeg` and return what it said."""
    command = [ffmpeg, "-nostdin", "-hide_banner", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    require(done.returncode == 0, "ffmpeg", ffmpeg, f"it failed, mend this or use another version: {last}")
    return done.stderr


def _fastest(run: Callable[[], Any]) -> float:
    times: list[float] = []
    run()
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
