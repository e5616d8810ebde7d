"""Find fights in a long video: train on four fifths of the sources, join the clips of the others, cut it into windows.

    python benchmarks/timeline.py fights/videos.csv --json timeline.json

The clips of the fifth fold's sources are joined into one video of 320 x 240 pixels and 25 frames per second, shuffled
by a seed. The bundle of a run on the other sources predicts its windows. Truth of a window: the class that fills most
of it.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

import clipfold
from clipfold.delivery.bundle import Bundle
from clipfold.delivery.segments import segments

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="table with path, label and group")
    parser.add_argument("--label", default="fight", help="class to look for (default: %(default)s)")
    parser.add_argument("--models", nargs="+", default=["logistic_regression"], help="(default: %(default)s)")
    parser.add_argument("--window", type=float, default=2.0, help="seconds (default: %(default)s)")
    parser.add_argument("--stride", type=float, default=0.5, help="seconds (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    with open(args.manifest, newline="") as file:
        rows = list(csv.DictReader(file))
    labels, groups = [row["label"] for row in rows], [row["group"] for row in rows]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(rows, labels, groups)
    train, test = next(folds)
    positive = args.label
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = clipfold.load(train_bundle(folder, args.manifest.parent, [rows[i] for i in train], args.models))
        held = [rows[i] for i in test]
        random.Random(0).shuffle(held)
        ends = join(folder, [args.manifest.parent / row["path"] for row in held])
        timeline = bundle.timeline(folder / "joined.mp4", args.window, args.stride, positive)
        parts = [(end, row["label"] == positive) for end, row in zip(ends, held, strict=True)]
        found = segments(timeline, bundle.threshold_of(positive))
        scores = timeline.probabilities[:, bundle.classes.index(positive)]
        result = {
            "model": bundle.name,
            "videos": len(held),
            "groups": len({row["group"] for row in held}),
            "seconds": round(ends[-1], 1),
            "windows": len(timeline.start),
            "auc_windows": round(auc(timeline.start, timeline.end, scores, parts), 3),
            "auc_clips": round(clip_auc(bundle, args.manifest.parent, held, positive), 3),
            "time_called": overlap([(s.start, s.end) for s in found], parts),
        }
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def train_bundle(folder: Path, videos: Path, rows: list[dict[str, str]], models: list[str]) -> Path:
    """Run the workflow on some videos; returns the folder of its bundle."""
    with open(folder / "videos.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | {"path": (videos / row["path"]).resolve()} for row in rows)
    command = [sys.executable, "-m", "snakemake", "--snakefile", PROJECT / "Snakefile", "--directory", folder]
    command += ["--profile", PROJECT / "profiles/local", "results/bundles/best/bundle.clipfold"]
    command += ["--config", f"models=[{','.join(models)}]", "shortcuts=False", "allow_leakage=[near_duplicates]"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "results/bundles/best"


def join(folder: Path, paths: list[Path]) -> list[float]:
    """Join videos into `joined.mp4`; returns where each ends, in seconds."""
    ends, total = [], 0
    for number, path in enumerate(paths):
        part = folder / f"{number}.ts"
        shape = "scale=320:240:force_original_aspect_ratio=decrease,pad=320:240:-1:-1,setsar=1,fps=25"
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-an", "-vf", shape, "-crf", "18", part],
            check=True,
        )
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(part))
        total += frames
        ends.append(total / 25)
    joined = "concat:" + "|".join(str(folder / f"{number}.ts") for number in range(len(paths)))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", joined, "-c", "copy", folder / "joined.mp4"]
    subprocess.run(command, check=True)
    return ends


def truth(start: float, end: float, parts: list[tuple[float, bool]]) -> float:
    """Return the share of a stretch of time that shows the positive class."""
    begin, inside = 0.0, 0.0
    for stop, positive in parts:
        inside += positive * max(0.0, min(end, stop) - max(start, begin))
        begin = stop
    return inside / (end - start)


def auc(start: np.ndarray, end: np.ndarray, scores: np.ndarray, parts: list[tuple[float, bool]]) -> float:
    shares = np.array([truth(a, b, parts) for a, b in zip(start, end, strict=True)])
    return float(roc_auc_score(shares > 0.5, scores))


def clip_auc(bundle: Bundle, videos: Path, rows: list[dict[str, str]], positive: str) -> float:
    """Return the AUC over whole clips, for comparison."""
    found = bundle.predict([videos / row["path"] for row in rows])
    return float(roc_auc_score([row["label"] == positive for row in rows], found[f"p_{positive}"]))


def overlap(found: list[tuple[float, float]], parts: list[tuple[float, bool]]) -> dict[str, float]:
    """Return the share of the time of each kind that segments call positive."""
    steps = np.arange(0, parts[-1][0], 0.04)
    called = np.zeros(len(steps), bool)
    for start, end in found:
        called |= (steps >= start) & (steps < end)
    real = np.array([truth(t, t + 0.04, parts) > 0.5 for t in steps])
    return {"of_positive": round(float(called[real].mean()), 3), "of_negative": round(float(called[~real].mean()), 3)}


if __name__ == "__main__":
    main()
