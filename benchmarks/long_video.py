"""Measure windows of a long video: CPU time and peak memory, beside the ffmpeg program that only decodes it.

    python benchmarks/long_video.py --json long_video.json

The ffmpeg program makes one clip of 720p (a camera over a picture, with grain) and repeats it without re-encoding, for
a minute and for `--minutes`. Windows last 4 s and begin each second. Each measurement has its own process. The video
was probed in another, and each window is dropped when it comes. ffmpeg decodes the same file (`-threads 1 -f null -`).
They take turns, and the lowest CPU time of a few rounds counts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from long_videos import SCENES

CLIP_S, RATE = 20, 25
WINDOW_S, STRIDE_S = 4.0, 1.0
VIEWS = {"clips": ["clips"], "all": ["clips", "motion", "native"]}
"""Name -> views to take: what a network on clips needs, and what features need."""

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def make_clip(path: Path) -> None:
    """Encode the clip that is repeated."""
    scene = SCENES["pan"].format(w=1280, h=720, big="1920x1080", rate=RATE)
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", scene, "-t", str(CLIP_S), "-an", "-c:v", "libx264"]
    subprocess.run([*command, "-preset", "fast", "-pix_fmt", "yuv420p", path], check=True)


def repeat(clip: Path, minutes: int) -> Path:
    """Return a video of so many minutes, made without re-encoding."""
    path = clip.with_name(f"{minutes}.mp4")
    command = [FFMPEG, "-v", "error", "-stream_loop", str(minutes * 60 // CLIP_S - 1), "-i", clip, "-c", "copy", path]
    subprocess.run(command, check=True)
    return path


def probe(path: str, row: str) -> None:
    """Probe the video and keep its row."""
    from clipfold.settings import ProbeSettings
    from clipfold.video.probe import probe_video

    Path(row).write_bytes(pickle.dumps(probe_video(path, ProbeSettings()) | {"id": path, "path": path}))


def windows(row: str, views: list[str]) -> None:
    """Decode all windows of the probed video and drop them."""
    from clipfold.settings import DecodeSettings
    from clipfold.video.stream import Stream
    from clipfold.video.views import build_views
    from clipfold.video.windows import decode_windows

    settings = DecodeSettings()
    built = build_views({name: settings.views[name] for name in views}, settings.size)
    stream = Stream.of(pickle.loads(Path(row).read_bytes()))
    for window in decode_windows(stream, built, WINDOW_S, STRIDE_S):
        if window.decoded.facts["status"] != "ok":
            raise SystemExit(f"{window.span}: {window.decoded.facts}")


def measured(*command: object) -> dict[str, float]:
    """Run a command and return its CPU and wall seconds and its peak resident memory in MB of 10^6 bytes."""
    started = time.monotonic()
    child = os.posix_spawn(str(command[0]), [str(part) for part in command], os.environ)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{command}: exit status {status}")
    cpu = used.ru_utime + used.ru_stime
    return {"cpu_s": cpu, "wall_s": time.monotonic() - started, "peak_mb": used.ru_maxrss * 1024 / 1e6}


def measure(path: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the best of each measurement of a video."""
    row = path.with_suffix(".row")
    prober = multiprocessing.get_context("spawn").Process(target=probe, args=(str(path), str(row)))
    prober.start()
    prober.join()
    commands: dict[str, list[object]] = {
        "ffmpeg": [FFMPEG, "-v", "error", "-threads", 1, "-i", path, "-f", "null", "-"]
    }
    for name, views in VIEWS.items():
        commands[name] = [sys.executable, __file__, "--row", row, "--views", *views]
    found: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            figures = measured(*command)
            kept = found.setdefault(name, figures)
            found[name] = {key: (max if key == "peak_mb" else min)(kept[key], figures[key]) for key in figures}
    return {name: {key: round(value, 2) for key, value in figures.items()} for name, figures in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=120, help="length of the long video")
    parser.add_argument("--rounds", type=int, default=1, help="the best of each measurement counts")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--views", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        windows(args.row, args.views)
        return
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        for minutes in (1, args.minutes):
            result[f"{minutes} min"] = found = measure(repeat(clip, minutes), args.rounds)
            print(minutes, "min:", json.dumps(found), flush=True)
    short, long = result.values()
    result["growth"] = {name: round(long[name]["peak_mb"] / short[name]["peak_mb"] - 1, 4) for name in short}
    result["cpu_of_ffmpeg"] = {name: round(long[name]["cpu_s"] / long["ffmpeg"]["cpu_s"], 3) for name in VIEWS}
    print(json.dumps({key: result[key] for key in ("growth", "cpu_of_ffmpeg")}, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
