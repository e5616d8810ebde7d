"""Take many segments out of long recordings: are they the right frames, and what does it cost beside one pass?

    python benchmarks/segments.py --json segments.json

Makes four recordings whose frames carry their number in their pixels (B-frames; a variable rate; a clock that does not
start at 0; open groups of pictures), cuts each into segments that follow each other, and probes and decodes them with
the workflow's default views, `clips` at 128 pixels. Times are CPU times of one process, the lowest of a few rounds that
take turns: all segments; one pass that decodes every frame and keeps the same pictures, each once; the ffmpeg program
that only decodes (`-threads 1 -f null -`). Memory is that of a decode job with one worker (see memory.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
from memory import watch

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import Array, open_array, read_table
from clipfold.video.decode import Shot
from clipfold.video.decode_parts import decode_parts
from clipfold.video.decode_shard import decode_shard
from clipfold.video.parts import Part, frames_of
from clipfold.video.probe import probe_video
from clipfold.video.probe_shard import probe_shard
from clipfold.video.stream import Counts, Stream, decoded_frames
from clipfold.video.views import Timeline, build_views

WIDTH, HEIGHT, BITS, RATE = 640, 360, 16, 25
CLOSED = "keyint=250:bframes=3:b-adapt=0"
SETTINGS = DecodeSettings(size=128, timeout_s=3600)


def stamps_of(kind: str, count: int) -> list[int]:
    """Return the timestamp of each frame in ms."""
    if kind == "variable rate":
        return [0, *np.cumsum(np.random.default_rng(0).integers(20, 61, count - 1)).tolist()]
    return [40 * number + (3_723_000 if kind == "late clock" else 0) for number in range(count)]


KINDS = {
    "B-frames": ("mp4", CLOSED),
    "variable rate": ("mkv", CLOSED),
    "late clock": ("ts", CLOSED),
    "open groups": ("mkv", "keyint=100:bframes=7:b-pyramid=normal:ref=4:open-gop=1:b-adapt=0"),
}
"""Name -> container and parameters of x264."""


def make(path: Path, stamps: list[int], params: str) -> None:
    """Write a recording: squares that show the bits of the frame's number, above a scene with a moving square."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.random.default_rng(1).uniform(-0.2, 0.2, (6, 3))
    scene = (128 + 12 * sum(np.sin(a * x + b * y + 9 * c) for a, b, c in waves)).astype(np.uint8)
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", RATE, {"preset": "superfast", "threads": "2", "x264-params": params})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for number, stamp in enumerate(stamps):
            planes[:HEIGHT] = scene
            planes[100:200, (left := 3 * number % (WIDTH - 100)) : left + 100] = 220
            bits = (number >> np.arange(BITS)) & 1
            planes[: WIDTH // BITS] = np.repeat(bits * 219 + 16, WIDTH // BITS)
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def numbers(clip: Array) -> list[int]:
    """Read the numbers of the frames of a clip, `uint8` (frames, size, size, 3)."""
    size = clip.shape[1]
    top, square = (size - size * HEIGHT // WIDTH) // 2, size // BITS
    return [int((row > 128) @ (1 << np.arange(BITS))) for row in clip[:, top + square // 2, square // 2 :: square, 1]]


def cuts_of(length: float, count: int) -> list[tuple[float, float]]:
    """Cut a recording into segments that follow each other."""
    edges = np.linspace(0, length, count + 1).round(3).tolist()
    return list(pairwise(edges))


def job(paths: list[str], folder: str) -> None:
    """Probe and decode the segments that `cuts.json` names, as the rules do."""
    from clipfold.storage.job import keep_freed_memory

    keep_freed_memory()
    place = Path(folder)
    segments = {f"{i:05}": ("file", *cut) for i, cut in enumerate(json.loads((place / "cuts.json").read_text()))}
    files = dict.fromkeys(segments, paths[0])
    probe_shard(files, place / "metadata.parquet", ProbeSettings(), 1, segments=segments)
    arrays = {name: place / f"{name}.npy" for name in SETTINGS.views}
    decode_shard(files, place / "metadata.parquet", arrays, place / "index.parquet", SETTINGS, 1)


def run(path: Path, cuts: list[tuple[float, float]], folder: Path) -> float:
    """Run a job on segments and return its peak memory in MB."""
    folder.mkdir()
    (folder / "cuts.json").write_text(json.dumps(cuts))
    return watch(job, [str(path)], folder)


def right(folder: Path, times: Array, cuts: list[tuple[float, float]]) -> tuple[int, int, int]:
    """Return how many stored frames there are, how many are right, and how many frames went through the decoder."""
    stored = good = decoded = 0
    clips = open_array(folder / "clips.npy")
    for row, (start, end) in zip(read_table(folder / "index.parquet").to_pylist(), cuts, strict=True):
        inside = np.flatnonzero((times >= start - 1e-9) & (times < end - 1e-9))
        wanted = [int(inside[(2 * n + 1) * len(inside) // 32]) for n in range(16)]
        found = numbers(clips[row["row"]])
        stored, good = stored + 16, good + sum(a == b for a, b in zip(found, wanted, strict=True))
        decoded += row["decoded"]
    return stored, good, decoded


def cpu_s(call: Callable[[], Any]) -> float:
    """Return the CPU time of a call in this process."""
    before = time.process_time()
    call()
    return time.process_time() - before


def ffmpeg_s(path: Path) -> float:
    """Return the CPU time of the ffmpeg program that decodes the file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command: list[str | Path] = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "fatal", "-threads", "1", "-i", path]
    command += ["-fps_mode", "passthrough", "-f", "null", "-"]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(path: Path, cuts: list[tuple[float, float]], rounds: int) -> dict[str, float]:
    """Return the CPU seconds of all segments, of one pass with the same pictures, and of decoding alone."""
    stream = Stream.of(probe_video(str(path), ProbeSettings()) | {"id": "a", "path": str(path)})
    views = build_views(SETTINGS.views, SETTINGS.size)
    parts = [Part(str(i), *cut) for i, cut in enumerate(cuts)]
    order = stream.order()
    assert order is not None
    times, wanted = stream.times(order), dict[int, set[str]]()
    for part in parts:
        place = frames_of(part, times)
        timeline = Timeline(part.id, times[place.start : place.stop], ())
        for name, view in views.items():
            for index in view.select(timeline):
                wanted.setdefault(place.start + index, set()).add(name)

    def segments() -> None:
        for _ in decode_parts(stream, views, parts):
            pass

    def one_pass() -> None:
        for frame, number in decoded_frames(stream, None, Counts(), analyse=False):
            shot = Shot(frame, None)
            for name in wanted.get(number, ()):
                shot.take(views[name])
            del frame, shot

    found = {name: float("inf") for name in ("segments", "one pass", "ffmpeg")}
    for _ in range(rounds):
        found["segments"] = min(found["segments"], cpu_s(segments))
        found["one pass"] = min(found["one pass"], cpu_s(one_pass))
        found["ffmpeg"] = min(found["ffmpeg"], ffmpeg_s(path))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="length of a recording")
    parser.add_argument("--segments", type=int, default=200, help="segments of a recording")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    count = round(args.minutes * 60 * RATE)
    result: dict[str, Any] = {"minutes": args.minutes, "segments": args.segments, "recordings": {}}
    with tempfile.TemporaryDirectory() as root:
        for kind, (suffix, params) in KINDS.items():
            path, stamps = Path(root) / f"{kind}.{suffix}", stamps_of(kind, count)
            make(path, stamps, params)
            times = (np.array(stamps) - stamps[0]) / 1000
            cuts = cuts_of(float(times[-1]) + 0.04, args.segments)
            many_mb, one_mb = (
                run(path, c, Path(root) / f"{kind}-{len(c)}") for c in (cuts, cuts[len(cuts) // 2 :][:1])
            )
            stored, good, decoded = right(Path(root) / f"{kind}-{len(cuts)}", times, cuts)
            took = measure(path, cuts, args.rounds)
            facts = {
                "stored_frames": stored,
                "right_frames": good,
                "passes": round(decoded / count, 3),
                "cpu_s": {name: round(seconds, 2) for name, seconds in took.items()},
                "segments_over_one_pass": round(took["segments"] / took["one pass"], 3),
                "segments_over_ffmpeg": round(took["segments"] / took["ffmpeg"], 3),
                "peak_mb": {"all segments": round(many_mb, 1), "one segment": round(one_mb, 1)},
            }
            result["recordings"][kind] = facts
            print(f"{kind}: {facts}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
