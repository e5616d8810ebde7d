"""Measure what the leakage audit finds, its false matches, and the effect of random folds on scores.

Near duplicates of a manifest's videos (smaller, stretched, recompressed, slower, mirrored, cropped, cut) go through the
workflow's own decoding, hashing and matching, together with all videos of the manifest. A pair is false if its groups
differ. Then light models are trained under grouped and under random folds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import av
import numpy as np

from clipfold.demo.encode import Take, encode
from clipfold.demo.near_duplicates import CHANGES, Recording
from clipfold.leakage.hashes import hash_shard
from clipfold.leakage.matches import match
from clipfold.manifest.read import Video, read_manifest
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import read_json, read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

PROJECT = Path(__file__).parents[1]
MODELS = ["logistic_regression", {"architecture": "naive_cnn", "size": 32, "frames": 8, "epochs": 6}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="CSV with path, label, group")
    parser.add_argument("--every", type=int, default=3, help="copies are made of each so-manieth video (default: 3)")
    parser.add_argument("--skip-training", action="store_true", help="only look for pairs")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    videos = read_manifest(arguments.manifest)
    with tempfile.TemporaryDirectory() as folder:
        figures = pairs(videos, Path(folder), arguments.every)
        if not arguments.skip_training:
            figures["folds"] = {
                scheme: trained(arguments.manifest.resolve(), Path(folder), scheme) for scheme in ("grouped", "random")
            }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def pairs(videos: list[Video], folder: Path, every: int) -> dict[str, object]:
    """Count the near duplicates found by kind of change, and the pairs of different groups."""
    rng = np.random.default_rng(0)
    copies: list[tuple[str, str, Video]] = []  # change, id of the source, near duplicate
    for source in videos[::every]:
        with av.open(source.path) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 25)
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        height, width = (edge // 2 * 2 for edge in frames.shape[1:3])
        for name, change in CHANGES.items():
            copy = change(Recording(frames[:, :height, :width], fps), rng)
            take = Take("h264", ".mp4", Fraction(copy.fps).limit_denominator(1000), len(copy.frames))
            path = folder / f"{name}-{len(copies)}.mp4"
            path.write_bytes(encode(copy.frames, take, bits_per_pixel=copy.bits_per_pixel))
            copies.append((name, source.id, Video(path.name, str(path), source.label, source.group)))
    found = {
        (row["first"], row["second"]): row["change"] for row in matched([*videos, *(c for *_, c in copies)], folder)
    }
    kinds: dict[str, dict[str, object]] = {}
    for name in CHANGES:
        own = [tuple(sorted((source, copy.id))) for change, source, copy in copies if change == name]
        called = Counter(found[pair] for pair in own if pair in found)
        kinds[name] = {"copies": len(own), "found": sum(called.values()), "called": dict(called)}
    group = {video.id: video.group for video in videos}
    unrelated = [pair for pair in combinations(sorted(group), 2) if group[pair[0]] != group[pair[1]]]
    false = [pair for pair in unrelated if pair in found]
    return {"changes": kinds, "unrelated_pairs": len(unrelated), "false_pairs": len(false), "false": false}


def matched(videos: list[Video], folder: Path) -> list[dict[str, object]]:
    """Find pairs of videos with the same content, as the workflow does."""
    paths = {v.id: v.path for v in videos}
    path = {
        name: folder / name for name in ("metadata", "clips", "motion", "native", "index", "hashes", "pictures", "out")
    }
    probe_shard(paths, path["metadata"], ProbeSettings(), workers=2)
    arrays = {view: path[view] for view in ("clips", "motion", "native")}
    decode_shard(paths, path["metadata"], arrays, path["index"], DecodeSettings(), workers=2)
    hash_shard(path["clips"], path["index"], path["hashes"], path["pictures"])
    match([path["hashes"]], [path["pictures"]], [path["index"]], path["out"], threads=2)
    return list(read_table(path["out"]).to_pylist())


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
