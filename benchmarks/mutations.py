"""Probe and decode thousands of damaged videos: none may end a shard or go without a status.

    python benchmarks/mutations.py --files 20000 --seed 1 --json mutations.json

The videos are small and of many containers and codecs. Each mutation follows from the seed and its number alone. The
exit status is 1 if a shard ended, a status is missing, or clipfold itself made an error (`failed`).
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from helpers.corpus.movies import FASTSTART, FRAGMENTS, movie
from helpers.corpus.spoil import damaged

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

BASES: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "faststart.mp4": {"mux": FASTSTART, "audio": "aac"},
    "fragments.mp4": {"mux": FRAGMENTS},
    "hevc.mp4": {"codec": "libx265"},
    "plain.mov": {"codec": "prores", "pix_fmt": "yuv422p10le"},
    "plain.mkv": {"options": {"g": "6"}},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "vp8.webm": {"codec": "libvpx"},
    "av1.mkv": {"codec": "libsvtav1"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "plain.ts": {},
    "mpeg1.mpg": {"codec": "mpeg1video"},
    "plain.flv": {"codec": "flv1"},
    "plain.wmv": {"codec": "wmv2"},
    "raw.h264": {},
}
HEADER = 2048  # bytes in which a header edit falls
VIEWS = DecodeSettings().views


def mutated(source: bytes, seed: int) -> bytes:
    """Damage bytes anywhere; for every third seed, edit numbers at the start or the end, where headers are."""
    if seed % 3:
        return damaged(source, seed)
    rng = random.Random(seed)
    raw = bytearray(source)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(min(HEADER, len(raw)))
        if rng.random() < 0.3:
            place = len(raw) - 1 - place
        number = rng.choice([b"\0", b"\xff", b"\x7f", b"\x80", rng.randbytes(1)]) * rng.choice([1, 2, 4, 8])
        raw[place : place + len(number)] = number
    return bytes(raw)


def run_shard(files: dict[str, bytes], folder: Path, workers: int) -> dict[str, tuple[str, str]]:
    """Write, probe and decode files, and return the status and reason of each."""
    paths = {}
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        paths[name] = str(path)
    metadata, index = folder / "metadata.parquet", folder / "index.parquet"
    arrays = {view: folder / f"{view}.npy" for view in VIEWS}
    probe_shard(paths, metadata, ProbeSettings(timeout_s=20), workers, memory_mb=1000)
    settings = DecodeSettings(timeout_s=20, views=VIEWS)
    decode_shard(paths, metadata, arrays, index, settings, workers, memory_mb=1500)
    return {row["id"]: (row["status"], row["reason"]) for row in read_table(index).to_pylist()}


def main() -> int:
    """Run the benchmark and print how many files got which status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, help="damaged files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", type=int, default=256, help="files per shard")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3600, help="start no shard after this time")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()

    logging.disable(logging.WARNING)  # the tracebacks of clipfold's own errors stay
    started = time.monotonic()
    counts: Counter[str] = Counter()
    odd: list[str] = []
    ended = missing = 0
    with tempfile.TemporaryDirectory() as scratch:
        bases = {name: movie(Path(scratch, name), frames=12, **kind) for name, kind in BASES.items()}
        for first in range(0, options.files, options.shard):
            shard = range(first, min(first + options.shard, options.files))
            if time.monotonic() - started > options.seconds:
                break
            names = {seed: f"{seed}-{[*bases][seed % len(bases)]}" for seed in shard}
            files = {
                name: mutated(bases[name.split("-")[1]], options.seed * 1_000_003 + seed)
                for seed, name in names.items()
            }
            with tempfile.TemporaryDirectory() as folder:
                try:
                    statuses = run_shard(files, Path(folder), options.workers)
                except Exception as error:
                    ended += 1
                    odd.append(f"shard of {first}: {type(error).__name__}: {error}")
                    continue
            missing += sum(not statuses.get(name, ("", ""))[0] for name in files)
            counts.update(status for status, _ in statuses.values())
            odd += [f"{n}: {s}: {why}" for n, (s, why) in statuses.items() if s in ("failed", "crashed", "timeout")]
    figures = {
        "files": counts.total(),
        "statuses": dict(counts.most_common()),
        "failed": counts["failed"],
        "shards_ended": ended,
        "statuses_missing": missing,
        "odd": odd,
        "seed": options.seed,
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 1 if ended or missing or counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
