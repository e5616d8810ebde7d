"""Make a dozen longer videos for benchmarks/decode.py: 10 to 60 s, 480p to 1080p, H.264 and HEVC with default settings.

    python benchmarks/long_videos.py long --source 'clips/*.mp4'

Their content is synthetic (a camera panning over a picture, a fixed camera, noise) or, with --source, concatenated from
your own clips, which compress as real recordings do. Needs the ffmpeg program; takes minutes on one core.
"""

from __future__ import annotations

import argparse
import glob
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STILL = "trim=end_frame=1,format=yuv420p,loop=-1:1"
GRAIN = "format=yuv420p,noise=alls=5:allf=t"  # a sensor's noise: without it, encoders skip most of each frame
SCENES = {
    # a camera swaying over a still picture larger than the frame
    "pan": (
        f"mandelbrot=size={{big}}:rate={{rate}}:start_scale=0.01,{STILL},"
        f"crop={{w}}:{{h}}:x='(iw-ow)/2*(1+sin(t/2))':y='(ih-oh)/2*(1+sin(t/3))',{GRAIN}"
    ),
    # a fixed camera: a still picture with things moving through it
    "fixed": (
        f"mandelbrot=size={{size}}:rate={{rate}}:start_scale=0.05,{STILL}[back];"
        "testsrc2=size=160x160:rate={rate}[thing];life=size=60x60:rate={rate}:mold=10:ratio=0.2,scale=180:180[crowd];"
        "[back][thing]overlay=x='(W-w)/2*(1+sin(t))':y='(H-h)/2*(1+cos(t/2))'[one];"
        f"[one][crowd]overlay=x='mod(90*t,W)':y='H/2',{GRAIN}"
    ),
    "test_card": f"testsrc2=size={{size}}:rate={{rate}},{GRAIN}",
    "life": f"life=size={{small}}:rate={{rate}}:mold=10:ratio=0.1:life_color=#80ff80,scale={{w}}:{{h}},{GRAIN}",
    "colours": f"gradients=size={{small}}:rate={{rate}}:speed=0.02,scale={{w}}:{{h}},{GRAIN}",
}


@dataclass(frozen=True)
class Video:
    """One video to make; `scene` is one of SCENES, or "clips" for material of --source ("pan" without it)."""

    scene: str
    seconds: int
    width: int
    height: int
    rate: int
    codec: str = "libx264"

    @property
    def name(self) -> str:
        """File name that tells what is inside."""
        return f"{self.scene}_{self.height}p_{self.seconds}s_{self.codec.removeprefix('lib')}.mp4"


VIDEOS = [
    Video("clips", 60, 854, 480, 15),
    Video("clips", 20, 854, 480, 25),
    Video("clips", 10, 854, 480, 25, "libx265"),
    Video("clips", 15, 1280, 720, 25),
    Video("clips", 10, 1920, 1080, 25),
    Video("pan", 20, 854, 480, 30),
    Video("pan", 10, 1280, 720, 24, "libx265"),
    Video("fixed", 10, 1280, 720, 25),
    Video("fixed", 20, 640, 480, 15),
    Video("test_card", 10, 1280, 720, 30),
    Video("life", 15, 854, 480, 25),
    Video("colours", 10, 1920, 1080, 15),
]


def scene_input(video: Video) -> list[str]:
    """Return ffmpeg's input arguments for a synthetic scene."""
    w, h = video.width, video.height
    scene = SCENES["pan" if video.scene == "clips" else video.scene]
    graph = scene.format(
        w=w, h=h, size=f"{w}x{h}", big=f"{w * 3 // 2}x{h * 3 // 2}", small=f"{w // 4}x{h // 4}", rate=video.rate
    )
    return ["-f", "lavfi", "-i", graph]


def clips_input(video: Video, clips: Sequence[Path]) -> list[str]:
    """Return ffmpeg's input arguments for clips of at least a second each, concatenated and filling the frame."""
    first = VIDEOS.index(video) * len(clips) // len(VIDEOS)  # so that each video shows other clips
    chosen = [clips[(first + number) % len(clips)] for number in range(video.seconds)]
    fill = f"scale={video.width}:{video.height}:force_original_aspect_ratio=increase:flags=bicubic"
    shape = f"{fill},crop={video.width}:{video.height},setsar=1,fps={video.rate},format=yuv420p"
    inputs = [part for clip in chosen for part in ("-threads", "1", "-i", str(clip))]
    chains = "".join(f"[{n}:v:0]{shape}[v{n}];" for n in range(len(chosen)))
    joined = "".join(f"[v{n}]" for n in range(len(chosen)))
    return [*inputs, "-filter_complex", f"{chains}{joined}concat=n={len(chosen)}:v=1:a=0"]


def make(video: Video, folder: Path, clips: Sequence[Path]) -> Path:
    """Make one video, unless it exists, and return its path."""
    path = folder / video.name
    if path.exists():
        return path
    source = clips_input(video, clips) if clips and video.scene == "clips" else scene_input(video)
    unfinished = path.with_suffix(".part.mp4")
    quiet = ["-x265-params", "log-level=error"] if video.codec == "libx265" else []
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *source, "-t", str(video.seconds), "-an"]
    subprocess.run([*command, "-c:v", video.codec, "-pix_fmt", "yuv420p", *quiet, str(unfinished)], check=True)
    return unfinished.rename(path)


def main() -> None:
    """Make all videos in the folder given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", help="pattern of clips to string together (quote it)")
    args = parser.parse_args()
    clips = [Path(name) for name in sorted(glob.glob(args.source, recursive=True))] if args.source else []
    if args.source and not clips:
        parser.error(f"--source {args.source}: no such files; quote the pattern")
    args.folder.mkdir(parents=True, exist_ok=True)
    for video in VIDEOS:
        start = time.monotonic()
        path = make(video, args.folder, clips)
        rate = path.stat().st_size * 8 / video.seconds / 1e6
        print(f"{path.name:36} {rate:6.2f} Mbit/s, made in {time.monotonic() - start:5.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
