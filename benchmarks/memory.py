"""Measure the peak memory of decode jobs: short and long, small and large, few and many videos.

    python benchmarks/memory.py --json memory.json

The ffmpeg program makes the videos from its test picture (a minute or two for all). A job is a process that decodes one
shard with the workflow's default views and one worker per core. Its memory is that of the process and its workers, with
shared pages counted once (`pss`), sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil

VIDEOS = {
    "360p, 10 s": ("640x360", 10, 1),
    "1080p, 10 min": ("1920x1080", 30, 20),
    "2160p, 1 min": ("3840x2160", 10, 6),
}
"""Name -> frame size, seconds, and how often these are repeated."""


def make_video(path: Path, size: str, seconds: int, repeats: int) -> None:
    """Encode a moving test picture with a fast x264 preset, and repeat it without re-encoding."""
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    once = path.with_name(f"once-{path.name}")
    source = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}"]
    subprocess.run([*program, *source, "-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p", once], check=True)
    subprocess.run([*program, "-stream_loop", str(repeats - 1), "-i", once, "-c", "copy", path], check=True)
    once.unlink()


def probe(paths: list[str], folder: str) -> None:
    """Probe a shard, as the rule does."""
    from clipfold.settings import ProbeSettings
    from clipfold.storage.job import keep_freed_memory
    from clipfold.video.probe_shard import probe_shard

    keep_freed_memory()
    probe_shard(_by_id(paths), Path(folder, "metadata.parquet"), ProbeSettings(timeout_s=600), _workers(paths))


def decode(paths: list[str], folder: str) -> None:
    """Decode a probed shard, as the rule does."""
    from clipfold.settings import DecodeSettings
    from clipfold.storage.job import keep_freed_memory
    from clipfold.video.decode_shard import decode_shard

    keep_freed_memory()
    settings, place = DecodeSettings(timeout_s=3600), Path(folder)
    arrays = {name: place / f"{name}.npy" for name in settings.views}
    decode_shard(_by_id(paths), place / "metadata.parquet", arrays, place / "index.parquet", settings, _workers(paths))


def _by_id(paths: list[str]) -> dict[str, str]:
    return {f"{i:05}": path for i, path in enumerate(paths)}


def _workers(paths: list[str]) -> int:
    return min(psutil.cpu_count() or 1, len(paths))


def peak_mb(paths: list[str], folder: Path) -> float:
    """Return the peak memory of a decode job with its workers, in MB of 10^6 bytes."""
    folder.mkdir()
    watch(probe, paths, folder)
    return watch(decode, paths, folder)


def watch(job: Callable[[list[str], str], None], paths: list[str], folder: Path) -> float:
    """Return the peak memory of a job in a process of its own, with its workers, in MB of 10^6 bytes."""
    process = multiprocessing.get_context("spawn").Process(target=job, args=(paths, str(folder)))
    process.start()
    peak, root = 0, psutil.Process(process.pid)
    while process.is_alive():
        total = 0
        try:
            for one in [root, *root.children(recursive=True)]:
                total += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            pass
        peak = max(peak, total)
        time.sleep(0.02)
    if process.exitcode:
        raise SystemExit(f"the job on {paths[0]} ended with exit code {process.exitcode}")
    return peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000, help="how many copies of the shortest to decode in one job")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    result: dict[str, Any] = {"workers": psutil.cpu_count(), "peak_mb": {}}
    with tempfile.TemporaryDirectory() as root:
        for number, (name, (size, seconds, repeats)) in enumerate(VIDEOS.items()):
            video = Path(root) / f"{number}.mp4"
            make_video(video, size, seconds, repeats)
            result["peak_mb"][name] = round(peak_mb([str(video)] * 2, Path(root) / f"job-{number}"), 1)
            print(f"{name}: {result['peak_mb'][name]} MB", flush=True)
        short = Path(root) / "short.mp4"
        make_video(short, "320x240", 1, 1)
        for clips in (args.clips // 10, args.clips):
            name = f"{clips} clips"
            result["peak_mb"][name] = round(peak_mb([str(short)] * clips, Path(root) / f"job-{clips}"), 1)
            print(f"{name}: {result['peak_mb'][name]} MB", flush=True)
    few, many = (result["peak_mb"][f"{clips} clips"] for clips in (args.clips // 10, args.clips))
    result["growth"] = round(many / few - 1, 4)
    print(f"growth from {args.clips // 10} to {args.clips} clips: {result['growth']:.1%}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
