"""Measure `clipfold predict BUNDLE long.mp4 --window 4s --stride 1s`: CPU time and peak memory, from start to end.

    python benchmarks/long_video.py cnn.clipfold logistic_regression.clipfold --json long_video.json

The ffmpeg program makes one clip of 720p (a camera over a picture, with grain) and repeats it without re-encoding, for
a minute and for `--minutes`. Beside each prediction, ffmpeg decodes the same file (`-threads 1 -f null -`). They take
turns, and the lowest CPU time of a few rounds counts. Memory is that of all processes of the command, with shared pages
counted once, and the highest of each process alone; both are sampled ten times a second, and the highest of all rounds
counts: a minute is over so soon that one round may miss the peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
from long_videos import SCENES

CLIP_S, RATE = 20, 25
WINDOWS = ["--window", "4s", "--stride", "1s"]
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


def measured(command: list[object], folder: Path) -> dict[str, Any]:
    """Run a command with its children and measure it.

    Returns:
        CPU and wall seconds; `peak_mb`, the highest memory of all processes together, in MB of 10^6 bytes;
        `processes_mb`, the highest resident memory of each, in the order of their start.
    """
    started = time.monotonic()
    with open(folder / "log", "wb") as log:
        process = psutil.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=folder)
    together, alone = 0, dict[int, int]()
    while (pid := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        now = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                now += one.memory_full_info().pss
                alone[one.pid] = max(_highest(one.pid), alone.get(one.pid, 0))
            except (psutil.Error, OSError):  # it ended meanwhile
                continue
        together = max(together, now)
        time.sleep(0.1)
    _, status, used = pid
    if status:
        raise SystemExit(f"{command}: exit status {status}: {(folder / 'log').read_text()}")
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(time.monotonic() - started, 2),
        "peak_mb": round(together / 1e6, 1),
        "processes_mb": [round(each / 1e6, 1) for each in alone.values()],
    }


def _highest(pid: int) -> int:
    """Return the highest resident memory of a process so far, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def measure(path: Path, bundles: list[Path], rounds: int) -> dict[str, dict[str, Any]]:
    """Return the measurement of least CPU time of each command on a video, by name."""
    commands: dict[str, list[object]] = {
        "ffmpeg": [FFMPEG, "-v", "error", "-threads", 1, "-i", path, "-f", "null", "-"]
    }
    for bundle in bundles:
        predict = [sys.executable, "-m", "clipfold.cli", "predict", bundle.resolve(), path, *WINDOWS]
        commands[bundle.stem] = [*predict, "-o", f"{bundle.stem}.csv"]
    found: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            figures = measured(command, path.parent)
            other = found.get(name, figures)
            found[name] = min(other, figures, key=lambda each: float(each["cpu_s"])) | {
                "peak_mb": max(other["peak_mb"], figures["peak_mb"])
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+", help="bundles to predict with")
    parser.add_argument("--minutes", type=int, default=120, help="length of the long video")
    parser.add_argument("--rounds", type=int, default=1, help="the best of each measurement counts")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        for minutes in (1, args.minutes):
            result[f"{minutes} min"] = found = measure(repeat(clip, minutes), args.bundles, args.rounds)
            print(minutes, "min:", json.dumps(found), flush=True)
    short, long = result.values()
    result["growth"] = {name: round(long[name]["peak_mb"] / short[name]["peak_mb"] - 1, 4) for name in short}
    names = [bundle.stem for bundle in args.bundles]
    result["cpu_of_ffmpeg"] = {name: round(long[name]["cpu_s"] / long["ffmpeg"]["cpu_s"], 3) for name in names}
    print(json.dumps({key: result[key] for key in ("growth", "cpu_of_ffmpeg")}, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
