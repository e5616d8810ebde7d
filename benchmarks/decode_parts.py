"""Measure the CPU time of each part of decoding a video, down to the decoder itself.

    python benchmarks/decode_parts.py --videos 'clips/*.mp4' --frames 16 --size 112 --json parts.json

The decoder alone: FFmpeg decodes the packets of clipfold's plan from memory, and its frames are dropped. No program
that needs exactly these frames can be faster. Parts take turns; the best of a few rounds counts.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import av

from clipfold.settings import ProbeSettings
from clipfold.storage.job import keep_freed_memory
from clipfold.video.container import open_video
from clipfold.video.decode import decode_video
from clipfold.video.picture import Picture
from clipfold.video.planner import Step
from clipfold.video.probe import probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import Timeline, build_views


def decode_only(stream: Stream, steps: list[Step], kept: set[int]) -> tuple[float, list[av.VideoFrame]]:
    """Return the CPU seconds that FFmpeg's decoder takes for the packets of a plan, and the wanted frames."""
    with open_video(stream.path, stream.max_pixels) as (container, video):
        packets = [packet for packet, _ in zip(container.demux(video), steps, strict=False)]
        frames: list[av.VideoFrame] = []
        context = video.codec_context
        context.open()
        started = time.process_time()
        for packet, step in zip(packets, steps, strict=True):
            if step is Step.DROP:
                continue
            if step is Step.RESTART:
                frames += [frame for frame in context.decode(None) if frame.pts in kept]
                context.flush_buffers()
            context.skip_frame = "NONREF" if step is Step.REFERENCE else "DEFAULT"
            frames += [frame for frame in context.decode(packet) if frame.pts in kept]
        frames += [frame for frame in context.decode(None) if frame.pts in kept]
        return time.process_time() - started, frames


def scale(frames: list[av.VideoFrame], stream: Stream, size: int) -> None:
    for frame in frames:
        Picture(frame, stream.aspect).letterboxed(size, "rgb24")


def timed(call: Callable[..., object], *arguments: object) -> float:
    """Return the CPU seconds of a call."""
    started = time.process_time()
    call(*arguments)
    return time.process_time() - started


def parts_of(path: str, frames: int, size: int, rounds: int) -> dict[str, float]:
    """Return CPU milliseconds by part."""
    facts = probe_video(path, ProbeSettings()) | {"id": path, "path": path}
    stream, views = Stream.of(facts), build_views({"clips": {"kind": "uniform", "frames": frames}}, size)
    order = stream.order()
    if order is None:
        raise SystemExit(f"{path}: timestamps are missing or occur twice, so there is no plan to take apart")
    wanted = set(views["clips"].select(Timeline(path, [float(pts * stream.time_base) for pts in order], ())))
    steps, kept = (
        stream.plan(order, set(stream.keyframes), wanted),
        {pts for pts, index in order.items() if index in wanted},
    )
    rows: list[dict[str, float]] = []
    for _ in range(rounds):
        row = {
            "probe": timed(probe_video, path, ProbeSettings()),
            "digest": timed(lambda: hashlib.blake2b(Path(path).read_bytes())),
            "decode": timed(decode_video, stream, views),
        }
        row["decoder_alone"], pictures = decode_only(stream, steps, kept)
        row["scale"] = timed(scale, pictures, stream, size)
        rows.append(row)
    return {part: 1000 * min(row[part] for row in rows) for part in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="pattern of the files (** goes into folders)")
    parser.add_argument("--frames", type=int, default=16, help="frames to pick from each video")
    parser.add_argument("--size", type=int, default=112, help="height and width of the kept frames")
    parser.add_argument("--rounds", type=int, default=5, help="the best of each part counts")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    videos = sorted(glob.glob(args.videos, recursive=True))
    if not videos:
        parser.error(f"--videos {args.videos}: no such files; quote the pattern")

    keep_freed_memory()
    parts = [parts_of(path, args.frames, args.size, args.rounds) for path in videos]
    result = {part: round(statistics.median(row[part] for row in parts), 2) for part in parts[0]}
    floor = [row["decoder_alone"] / (row["probe"] + row["decode"]) for row in parts]
    result["decoder_alone_of_all"] = round(statistics.median(floor), 3)
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
