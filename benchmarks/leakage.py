"""Measure what the leakage audit finds, its false matches, and the effect of random folds on scores.

Near duplicates of videos of different groups (smaller, mirrored, cropped, turned, within other videos, ...) go through
the workflow's own decoding, hashing and matching, one kind at a time, together with all videos of the manifest. A pair
is false if its groups differ. Then light models are trained under grouped and under random folds.

The package shows its own figures to users. To make them again:

    python benchmarks/leakage.py --manifest fights/videos.csv --skip-training --json src/clipfold/leakage/recall.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from clipfold.demo.disguises import DISGUISES, with_logo, with_title
from clipfold.demo.encode import Take, encode
from clipfold.demo.near_duplicates import CHANGES, Recording
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.matches import match
from clipfold.leakage.videos import Stored
from clipfold.manifest.read import Video, read_manifest
from clipfold.settings import DecodeSettings, ProbeSettings, SplitSettings
from clipfold.splits.assign import assign
from clipfold.splits.groups import resolve_groups
from clipfold.storage.files import read_json, read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

PROJECT = Path(__file__).parents[1]
MODELS = ["logistic_regression", {"architecture": "naive_cnn", "size": 32, "frames": 8, "epochs": 6}]
COPIES = 20  # of each kind
WIDEST = 480  # pixels; wider videos are scaled down before a copy is made
COMMAND = "python benchmarks/leakage.py --manifest fights/videos.csv --skip-training"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="CSV with path, label, group")
    parser.add_argument("--skip-training", action="store_true", help="only look for pairs")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    videos = read_manifest(arguments.manifest)
    with tempfile.TemporaryDirectory() as folder:
        figures = recall(videos, Path(folder))
        if not arguments.skip_training:
            figures["folds"] = {
                scheme: trained(arguments.manifest.resolve(), Path(folder), scheme) for scheme in ("grouped", "random")
            }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def recall(videos: list[Video], folder: Path) -> dict[str, Any]:
    """Count the near duplicates found by kind of change, and pairs that are found wrongly."""
    group = {video.id: video.group for video in videos}
    sources = list({video.group: video for video in reversed(videos)}.values())[:COPIES]
    films = [read(source) for source in sources]
    stored = [hashed({v.id: v.path for v in videos}, folder / "originals")]
    found = pairs(stored, folder)
    same, unrelated = [], []
    for pair in combinations(sorted(group), 2):
        (same if group[pair[0]] == group[pair[1]] else unrelated).append(pair)
    facts: dict[str, Any] = {
        "command": COMMAND,
        "data": f"{len(videos)} surveillance clips from {len(set(group.values()))} recordings",
        "same_source": count(same, found),
        "unrelated": count(unrelated, found),
        "guessed": guessed(videos, found),
        "kinds": {},
    }
    kinds: dict[str, Any] = {
        {"rougher": "recompressed"}.get(name, name): lambda film, rng, other, c=change: c(film, rng)
        for name, change in CHANGES.items()
    }
    kinds |= DISGUISES
    kinds["the same title"] = lambda film, rng, other: with_title(film, "Best moments of 2019")
    kinds["the same logo"] = lambda film, rng, other: with_logo(film, "BREAKING NEWS")
    for number, (name, change) in enumerate(kinds.items()):
        rng = np.random.default_rng(number)
        copies = {}
        (folder / f"{number}").mkdir()
        for i, (source, film) in enumerate(zip(sources, films, strict=True)):
            copy = change(film, rng, films[(i + 7) % len(films)])
            copies[source.id] = str(folder / f"{number}/{i}.mp4")
            take = Take("h264", ".mp4", Fraction(copy.fps).limit_denominator(1000), len(copy.frames))
            Path(copies[source.id]).write_bytes(encode(copy.frames, take, bits_per_pixel=copy.bits_per_pixel))
        own = pairs(
            [*stored, hashed({f"{name}/{i}": p for i, p in copies.items()}, folder / f"stored-{number}")], folder
        )
        if not name.startswith("the same"):
            facts["kinds"][name] = count([tuple(sorted((i, f"{name}/{i}"))) for i in copies], own)
        else:
            facts[name] = count(combinations(sorted(f"{name}/{i}" for i in copies), 2), own)
        print(name, facts["kinds"].get(name) or facts[name], file=sys.stderr, flush=True)
    return facts


def read(video: Video) -> Recording:
    """Read a video, at `WIDEST` pixels at most."""
    with av.open(video.path) as container:
        fps = float(container.streams.video[0].average_rate or 25)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    height, width = frames[0].shape[:2]
    share = min(1, WIDEST / width)
    size = int(width * share) // 2 * 2, int(height * share) // 2 * 2
    return Recording(np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]), fps)


def hashed(paths: dict[str, str], folder: Path) -> Path:
    """Decode and hash a shard, as the workflow does."""
    folder.mkdir()
    path = {name: folder / name for name in ("clips", "motion", "native", "hashes", "pictures", "keypoints")}
    probe_shard(paths, folder / "metadata", ProbeSettings(), workers=2)
    arrays = {view: path[view] for view in ("clips", "motion", "native")}
    decode_shard(paths, folder / "metadata", arrays, folder / "indices", DecodeSettings(), workers=2)
    hash_shard(path["clips"], folder / "indices", path["hashes"], path["pictures"], path["keypoints"])
    return folder


def pairs(shards: list[Path], folder: Path) -> set[tuple[str, str]]:
    """Find the near duplicates of shards, as the workflow does."""
    names = ("hashes", "pictures", "keypoints", "clips", "indices")
    match(Stored(**{name: [shard / name for shard in shards] for name in names}), folder / "matches", threads=2)
    return {(row["first"], row["second"]) for row in read_table(folder / "matches").to_pylist()}


def count(those: Iterable[tuple[str, ...]], found: set[tuple[str, str]]) -> dict[str, int]:
    """Count pairs, and how many of them were found."""
    those = list(those)
    return {"pairs": len(those), "found": sum(pair in found for pair in those)}


def guessed(videos: list[Video], found: set[tuple[str, str]]) -> dict[str, Any]:
    """Count the test videos that share their source with training if the groups of the manifest are withheld."""
    nameless = [{"id": video.id, "digest": video.id, "group": None, "source": video.source} for video in videos]
    settings = SplitSettings()
    groups, _ = resolve_groups(nameless, sorted(found), merge=False, least=2 * settings.folds)
    leaking = 0
    for fold in assign([video.label for video in videos], groups, settings, 0, None):
        train = {video.group for video, split in zip(videos, fold, strict=True) if split != "test"}
        leaking += sum(split == "test" and video.group in train for video, split in zip(videos, fold, strict=True))
    return {"groups": len(set(groups)), "tested": len(videos) * settings.repeats, "leaking": leaking}


def trained(manifest: Path, folder: Path, scheme: str) -> dict[str, object]:
    """Evaluate light models under a scheme; count the test videos that leak."""
    config = {"manifest": str(manifest), "splits": {"scheme": scheme}, "models": MODELS}
    config |= {"allow_leakage": ["random"] if scheme == "random" else []}
    file = folder / f"{scheme}.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", PROJECT / "Snakefile", "--quiet", "all"]
    command += ["--profile", PROJECT / "profiles/local", "--directory", folder / "results", "--configfile", file]
    subprocess.run(command, check=True)
    results = folder / "results/results"
    audit = read_json(results / "splits/audit.json")
    scores = read_table(results / "evaluation/metrics.parquet").to_pandas().query("scope == 'pooled' and `class` == ''")
    rows = read_table(results / "evaluation/comparison.parquet").to_pylist()
    models = {}
    for row in rows:
        own = scores[(scores.model == row["model"]) & (scores.decision != "val")].set_index("metric")
        models[row["model"]] = {
            "accuracy": own.value["accuracy"],
            row["metric"]: [row["value"], row["low"], row["high"]],
            "over_shortcut": [row["over_shortcut"], row["over_shortcut_low"], row["over_shortcut_high"]],
        }
    return {"leaking": audit["leaking"], "tested": audit["tested"], "mark": audit["mark"], "models": models}


if __name__ == "__main__":
    main()
