"""Measure whether stored clips could be compressed without costing speed: bytes, writing and reading, by codec.

    python benchmarks/compression.py results/frames/0-of-1/clips.npy --json compression.json

Clips are compressed one by one, losslessly, because training reads them in random order. Reading is compared with that
of the raw array, which is in the page cache, and with the time that naive_cnn trains on a clip. Codecs: zstd and blosc2
(`pip install blosc2`, not a part of clipfold), frames as they are or as differences from the one before; FFV1 and
H.264 with all numbers kept, as FFmpeg has them.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import blosc2
import numpy as np

from clipfold.models.entries import plan_models
from clipfold.training.trial_steps import TrialSteps

ROUNDS = 5
Codec = tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="array of stored clips, uint8 (clips, frames, size, size, 3)")
    parser.add_argument("--most", type=int, default=60, help="clips to measure with")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    stored = np.load(arguments.clips, mmap_mode="r")[: arguments.most]
    shape = stored.shape[1:]
    (model,) = plan_models(["naive_cnn"], largest_size=10**4, most_frames=10**4)
    trial = TrialSteps(model, threads=1)
    step = statistics.median(trial.run(2) / 2 / trial.clips for _ in range(ROUNDS))
    raw = statistics.median(seconds(lambda: [np.array(clip) for clip in stored]) for _ in range(ROUNDS)) / len(stored)
    print(
        f"a clip of {shape}: raw {stored[0].nbytes / 1e6:.2f} MB, read {1e3 * raw:.2f} ms, training {1e3 * step:.1f} ms"
    )
    found: dict[str, Any] = {"raw_ms": 1e3 * raw, "train_ms": 1e3 * step, "codecs": {}}
    for name, (pack, unpack) in codecs(shape).items():
        packed: list[bytes] = []
        writing = seconds(lambda pack=pack, packed=packed: packed.extend(map(pack, stored))) / len(stored)
        assert all(np.array_equal(unpack(data), clip) for data, clip in zip(packed, stored, strict=True)), name
        reading = statistics.median(
            seconds(lambda unpack=unpack, packed=packed: [unpack(data) for data in packed]) for _ in range(ROUNDS)
        ) / len(stored)
        share = sum(map(len, packed)) / stored.nbytes
        slower = (reading - raw) / step
        found["codecs"][name] = {"share": share, "write_ms": 1e3 * writing, "read_ms": 1e3 * reading, "slower": slower}
        print(
            f"{name:24} {share:5.2f} of the bytes, write {1e3 * writing:6.1f} ms, read {1e3 * reading:6.2f} ms, "
            f"training {100 * slower:+.1f} %"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def codecs(shape: tuple[int, ...]) -> dict[str, Codec]:
    """Name codecs: how each packs a clip, and unpacks it."""

    def blosc(codec: blosc2.Codec, level: int, filters: list[blosc2.Filter]) -> Codec:
        def pack(clip: np.ndarray) -> bytes:
            return blosc2.compress2(
                np.ascontiguousarray(clip), codec=codec, clevel=level, filters=filters, typesize=3, nthreads=1
            )

        return pack, lambda data: np.frombuffer(blosc2.decompress2(data, nthreads=1), np.uint8).reshape(shape)

    def differences(codec: Codec) -> Codec:
        pack, unpack = codec

        def changes(clip: np.ndarray) -> bytes:
            return pack(np.concatenate([clip[:1], clip[1:] - clip[:-1]]))

        return changes, lambda data: np.cumsum(unpack(data), axis=0, dtype=np.uint8)

    zstd = blosc(blosc2.Codec.ZSTD, 1, [blosc2.Filter.NOFILTER])
    return {
        "lz4 with shuffling": blosc(blosc2.Codec.LZ4, 5, [blosc2.Filter.SHUFFLE]),
        "zstd 1": zstd,
        "zstd 1 with shuffling": blosc(blosc2.Codec.ZSTD, 1, [blosc2.Filter.SHUFFLE]),
        "zstd 5 with shuffling": blosc(blosc2.Codec.ZSTD, 5, [blosc2.Filter.SHUFFLE]),
        "differences, zstd 1": differences(zstd),
        "FFV1": video("ffv1", "nut", "bgr0", {"slices": "4", "level": "3"}),
        "H.264 lossless": video("libx264rgb", "matroska", "rgb24", {"qp": "0", "preset": "ultrafast"}),
    }


def video(codec: str, container: str, pixels: str, options: dict[str, str]) -> Codec:
    """Return a codec that is FFmpeg's."""

    def pack(clip: np.ndarray) -> bytes:
        target = io.BytesIO()
        with av.open(target, "w", format=container) as file:
            stream = file.add_stream(codec, rate=10, options=options)
            stream.height, stream.width = clip.shape[1:3]
            stream.pix_fmt, stream.thread_count = pixels, 1
            for image in clip:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")))
            file.mux(stream.encode())
        return target.getvalue()

    def unpack(data: bytes) -> np.ndarray:
        with av.open(io.BytesIO(data)) as file:
            file.streams.video[0].thread_count = 1
            return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])

    return pack, unpack


if __name__ == "__main__":
    main()
