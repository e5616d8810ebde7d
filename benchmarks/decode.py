"""Compare video decoders: open a file, pick uniformly spaced frames, return them small, on one thread.

    python benchmarks/decode.py --videos 'clips/*.mp4' --frames 16 --size 112 --json decode.json

Each decoder runs in its own process, so that FFmpeg builds do not clash and a crash stops only one. Decoders take turns
on every video, and the best of a few rounds counts: the noise of a shared machine affects all of them alike.
"""

from __future__ import annotations

import argparse
import functools
import glob
import importlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

Frames = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8, shape (frames, size, size, 3), RGB."""

TIMEOUT = 300  # seconds for one video
TWINS = 0.2  # share of a decoder's own difference from the truth, at least of one grey level; see `is_exact`


def wanted(total: int, frames: int) -> list[int]:
    """Return the indices of `frames` uniformly spaced frames: the middles of equal parts.

    >>> wanted(10, 5)
    [1, 3, 5, 7, 9]
    """
    return [(2 * part + 1) * total // (2 * frames) for part in range(frames)]


# --- The decoders: (path, frames, size) -> frames ---------------------------------------------------------------------


@functools.cache
def _noted(path: str) -> dict[str, Any]:
    return _probe(path)


def _probe(path: str) -> dict[str, Any]:
    settings = importlib.import_module("clipfold.settings")
    probe = importlib.import_module("clipfold.video.probe")
    facts: dict[str, Any] = probe.probe_video(path, settings.ProbeSettings()) | {"id": path, "path": path}
    return facts


def clipfold_frames(path: str, frames: int, size: int, probed: str) -> Frames:
    """Return the frames as the workflow decodes them, letterboxed.

    Args:
        path: The file.
        frames: Number of frames.
        size: Edge of the square in pixels.
        probed: `now`, with the digest of the file and a first frame as proof that it decodes; or `before`, as the
            workflow's decode jobs find it, for every size and view that is tried.
    """
    importlib.import_module("clipfold.storage.job").keep_freed_memory()
    decode = importlib.import_module("clipfold.video.decode")
    stream = importlib.import_module("clipfold.video.stream")
    views = importlib.import_module("clipfold.video.views")
    facts = _probe(path) if probed == "now" else _noted(path)
    clip = views.build_views({"clips": {"kind": "uniform", "frames": frames}}, size)
    kept: Frames = decode.decode_video(stream.Stream.of(facts), clip).arrays["clips"]
    return kept


def torchcodec_frames(path: str, frames: int, size: int, seek_mode: str) -> Frames:
    """Return frames by torchcodec, resized inside its decoder."""
    torch = importlib.import_module("torch")
    decoders = importlib.import_module("torchcodec.decoders")
    transforms = importlib.import_module("torchcodec.transforms")
    torch.set_num_threads(1)
    decoder = decoders.VideoDecoder(
        path,
        dimension_order="NHWC",
        num_ffmpeg_threads=1,
        seek_mode=seek_mode,
        transforms=[transforms.Resize((size, size))],
    )
    batch: Frames = decoder.get_frames_at(wanted(len(decoder), frames)).data.numpy()
    return batch


def decord_frames(path: str, frames: int, size: int) -> Frames:
    """Return frames by decord, resized inside its decoder."""
    decord = importlib.import_module("decord")
    reader = decord.VideoReader(path, ctx=decord.cpu(0), width=size, height=size, num_threads=1)
    batch: Frames = reader.get_batch(wanted(len(reader), frames)).asnumpy()
    return batch


def opencv_frames(path: str, frames: int, size: int) -> Frames:
    """Return frames by OpenCV, reading the file once and converting only the wanted frames."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    indices = wanted(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), frames)
    kept: list[Frames] = []
    for index in range(indices[-1] + 1):
        if not capture.grab():
            break
        if index in indices:
            image = cv2.resize(capture.retrieve()[1], (size, size), interpolation=cv2.INTER_AREA)
            kept += [cv2.cvtColor(image, cv2.COLOR_BGR2RGB)] * indices.count(index)
    return np.stack(kept)


def _picture(frame: av.VideoFrame, width: int, height: int) -> Frames:
    return cast(Frames, frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray())


def pyav_seek_frames(path: str, frames: int, size: int) -> Frames:
    """Return frames by PyAV with one seek per frame, by the average frame rate."""
    kept: list[Frames] = []
    with av.open(path, "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate, tick, start = stream.average_rate, stream.time_base, stream.start_time or 0
        assert rate
        assert tick
        total = stream.frames or round((container.duration or 0) / av.time_base * rate)
        for index in wanted(total, frames):
            target = start + round(index / rate / tick)
            container.seek(target, stream=stream)
            for frame in container.decode(stream):
                if frame.pts is not None and frame.pts >= target:
                    kept.append(_picture(frame, size, size))
                    break
    return np.stack(kept)


@dataclass(frozen=True)
class Decoder:
    """A decoder with one of its settings; the fastest of each name counts."""

    name: str
    setting: str
    call: Callable[..., Frames]
    options: dict[str, str] = field(default_factory=dict)
    letterboxed: bool = False


DECODERS = [
    Decoder("clipfold", "probed now", clipfold_frames, {"probed": "now"}, letterboxed=True),
    Decoder("clipfold_decode", "probed before", clipfold_frames, {"probed": "before"}, letterboxed=True),
    Decoder("torchcodec", "exact", torchcodec_frames, {"seek_mode": "exact"}),
    Decoder("torchcodec", "approximate", torchcodec_frames, {"seek_mode": "approximate"}),
    Decoder("decord", "", decord_frames),
    Decoder("opencv", "", opencv_frames),
    Decoder("pyav_seek", "", pyav_seek_frames),
]


# --- Truth ------------------------------------------------------------------------------------------------------------


def full_decode(path: str, size: int, letterboxed: bool) -> Frames:
    """Return every frame of a plain decode, stretched to the square or letterboxed (black bars, centred)."""
    kept: list[Frames] = []
    with av.open(path, "r") as container:
        for frame in container.decode(video=0):
            scale = size / max(frame.width, frame.height)
            box = (
                (max(round(frame.width * scale), 1), max(round(frame.height * scale), 1))
                if letterboxed
                else (size, size)
            )
            canvas: Frames = np.zeros((size, size, 3), np.uint8)
            left, top = (size - box[0]) // 2, (size - box[1]) // 2
            canvas[top : top + box[1], left : left + box[0]] = _picture(frame, *box)
            kept.append(canvas)
    return np.stack(kept)


def is_exact(delivered: Frames, truth: Frames, frames: int) -> bool:
    """Check that each returned frame resembles the wanted frame most, of all frames of the video.

    Decoders scale and convert differently, so equality is no test. Frames that differ from the wanted one by much
    less than this decoder differs from the truth (a standing picture) cannot be told apart; they count as the wanted.
    """
    if len(delivered) != frames:
        return False
    for image, index in zip(delivered.astype(np.int16), wanted(len(truth), frames), strict=True):
        differences = [float(np.abs(image - other).mean()) for other in truth]
        nearest = int(np.argmin(differences))
        if np.abs(truth[nearest].astype(np.int16) - truth[index]).mean() > TWINS * max(1.0, differences[nearest]):
            return False
    return True


# --- Measuring --------------------------------------------------------------------------------------------------------


def measure(number: int, path: str, frames: int, size: int) -> tuple[Frames, float, float]:
    """Return frames, CPU and wall milliseconds of decoder `number` on one video; runs in its process."""
    decoder = DECODERS[number]
    wall, cpu, children = time.perf_counter(), time.process_time(), os.times()
    result = decoder.call(path, frames, size, **decoder.options)
    after = os.times()
    of_children = after.children_user + after.children_system - children.children_user - children.children_system
    return result, (time.process_time() - cpu + of_children) * 1000, (time.perf_counter() - wall) * 1000


@dataclass
class Score:
    """Times of a decoder on each video."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    frames: int = 0
    wrong: list[str] = field(default_factory=list)


def compare(videos: Sequence[str], frames: int, size: int, rounds: int) -> tuple[dict[int, Score], dict[int, str]]:
    """Return, by number, the scores of the decoders that work here and why the others do not."""
    spawn = multiprocessing.get_context("spawn")
    pools = {number: ProcessPoolExecutor(1, mp_context=spawn) for number in range(len(DECODERS))}
    absent: dict[int, str] = {}
    scores: dict[int, Score] = {}
    for number, pool in pools.items():
        try:  # also warms up: imports, code, lazy initialisation
            pool.submit(measure, number, videos[0], frames, size).result(TIMEOUT)
            scores[number] = Score()
        except Exception as error:
            absent[number] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    for place, video in enumerate(videos):
        taken: dict[int, list[tuple[Frames, float, float]]] = {number: [] for number in scores}
        for _ in range(rounds):
            for number in list(scores):
                try:
                    taken[number].append(pools[number].submit(measure, number, video, frames, size).result(TIMEOUT))
                except Exception as error:
                    absent[number] = f"{Path(video).name}: {type(error).__name__}: {error}"
                    del scores[number]
        truths: dict[bool, Frames] = {}
        for number, score in scores.items():
            boxed = DECODERS[number].letterboxed
            if boxed not in truths:
                truths[boxed] = full_decode(video, size, boxed)
            score.cpu_ms.append(min(cpu for _, cpu, _ in taken[number]))
            score.wall_ms.append(min(wall for _, _, wall in taken[number]))
            score.frames += len(taken[number][0][0])
            if not is_exact(taken[number][0][0], truths[boxed], frames):
                score.wrong.append(video)
        print(f"\r{place + 1}/{len(videos)} videos", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for pool in pools.values():
        pool.shutdown(cancel_futures=True)
    return scores, absent


def best_settings(scores: dict[int, Score]) -> dict[str, int]:
    """Return the number of each name's best setting: the fastest, preferably with the right frames."""
    best: dict[str, int] = {}
    for number in sorted(scores, key=lambda n: (len(scores[n].wrong), statistics.median(scores[n].cpu_ms))):
        best.setdefault(DECODERS[number].name, number)
    return best


def main() -> None:
    """Run the comparison and write its table and JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="pattern of the files (** goes into folders)")
    parser.add_argument("--frames", type=int, default=16, help="frames to pick from each video")
    parser.add_argument("--size", type=int, default=112, help="height and width of the delivered frames")
    parser.add_argument("--repeats", type=int, default=3, help="rounds over each video; the best counts")
    parser.add_argument("--limit", type=int, help="take only so many videos, evenly spread over the sorted list")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()

    videos = sorted(glob.glob(args.videos, recursive=True))
    if not videos:
        parser.error(f"--videos {args.videos}: no such files; quote the pattern")
    if args.limit and args.limit < len(videos):
        videos = [videos[index] for index in wanted(len(videos), args.limit)]

    scores, absent = compare(videos, args.frames, args.size, args.repeats)
    best = best_settings(scores)
    peers = {name: number for name, number in best.items() if not name.startswith("clipfold")}
    yardstick = min(peers.values(), key=lambda n: statistics.median(scores[n].cpu_ms)) if peers else None

    decoders: dict[str, dict[str, object]] = {}
    print(f"{'decoder':30}{'CPU ms':>10}{'wall ms':>10}{'of best peer':>14}{'frames':>8}  exact")
    for name in dict.fromkeys(decoder.name for decoder in DECODERS):
        if name not in best:
            reason = next(why for number, why in absent.items() if DECODERS[number].name == name)
            decoders[name] = {"absent": reason}
            print(f"{name:30}absent: {reason}")
            continue
        score, setting = scores[best[name]], DECODERS[best[name]].setting
        cpu, wall = statistics.median(score.cpu_ms), statistics.median(score.wall_ms)
        pairs = zip(score.cpu_ms, scores[yardstick].cpu_ms, strict=True) if yardstick is not None else ()
        ratio = statistics.median([mine / theirs for mine, theirs in pairs] or [1.0])
        decoders[name] = {
            "cpu_ms": round(cpu, 2),
            "wall_ms": round(wall, 2),
            "frames": score.frames,
            "exact": not score.wrong,
            "ratio_to_best_peer": round(ratio, 3),
            "setting": setting,
            "inexact_videos": score.wrong,
        }
        right = f"{len(videos) - len(score.wrong)}/{len(videos)}"
        print(f"{f'{name} {setting}':30}{cpu:10.1f}{wall:10.1f}{ratio:14.2f}{score.frames:8}  {right}")
    if args.json:
        settings = {"videos": len(videos), "frames": args.frames, "size": args.size, "repeats": args.repeats}
        args.json.write_text(json.dumps({"settings": settings, "decoders": decoders}, indent=2) + "\n")


if __name__ == "__main__":
    main()
