"""Measure what each setting of `clipfold predict --profile` gains and costs: time, accuracy, change of probabilities.

    python benchmarks/profiles.py videos.csv --folder profiles --json profiles.json

Three times, the workflow learns from two thirds of the groups, in three folds, and the bundle predicts the clips of the
other third, which none of its fits has seen, by the command. Then one of the bundles predicts a long video of 1080p:
clips of that third one after the other, each followed by its last frame for ten seconds, with grain, as a camera sees a
street on which something happens now and then.

Settings are measured one by one, each against `balanced`, and the profiles whole. Times are of `clipfold predict` with
all that it does, of which the start without any video, `start`, is given too. They take turns, and the least of
`--rounds` counts. `changed` is the number of clips that are named otherwise than by `balanced`, or of windows of which
another class is the most probable. At last, the long video is predicted under four names, by one process that decodes
and by as many as cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from clipfold.storage.files import write_json

PROJECT = Path(__file__).resolve().parents[1]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
MODELS = {
    "naive_cnn": {"architecture": "naive_cnn", "epochs": 8},
    "x3d_xs": {"architecture": "x3d", "variant": "xs", "size": 112, "frames": 4, "epochs": 3},
}
STILL_S = 10
WINDOWS = ["--window", "4s", "--stride", "1s"]
BOTH: dict[str, list[str]] = {
    "balanced": [],
    **{f"views_at_test={n}": ["--set", f"views_at_test={n}"] for n in (2, 4)},
    "precision=bf16": ["--set", "precision=bf16"],
    "compile=default": ["--set", "compile=default"],
    "loop_filter=false": ["--set", "loop_filter=false"],
    "fits=1": ["--set", "fits=1"],
    "fits=2": ["--set", "fits=2"],
    **{f"enough={p}": ["--set", f"enough={p}"] for p in (0.95, 0.9, 0.8, 0.7, 0.6)},
    "fast": ["--profile", "fast"],
    "quality": ["--profile", "quality"],
}
OF_WINDOWS = {"threads=2": ["--set", "threads=2"]} | {f"unchanged={n}": ["--set", f"unchanged={n}"] for n in (1, 3, 6)}


def train(manifest: Path, folder: Path, models: Sequence[str]) -> list[list[dict[str, str]]]:
    """Train on two thirds of the groups, three times; returns the rows of the third that each leaves out."""
    with open(manifest, newline="") as file:
        rows = [row | {"path": str((manifest.parent / row["path"]).resolve())} for row in csv.DictReader(file)]
    labels, groups = [row["label"] for row in rows], [row["group"] for row in rows]
    config = {
        "splits": {"folds": 3, "validation": 0.34},
        "augment": {"copies": 0},
        "shortcuts": False,
        "allow_leakage": ["near_duplicates"],
        "models": [{"name": name} | MODELS[name] for name in models],
        "bundle": {"models": [*models]},
    }
    held = []
    for number, (known, left) in enumerate(
        StratifiedGroupKFold(3, shuffle=True, random_state=0).split(rows, labels, groups)
    ):
        place = folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        write_rows(place / "videos.csv", [rows[i] for i in known])
        write_rows(place / "held.csv", [rows[i] for i in left])
        (place / "config.json").write_text(json.dumps(config | {"manifest": str((place / "videos.csv").resolve())}))
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            "profiles/local",
            "--directory",
            str(place.resolve()),
        ]
        targets = [f"results/bundles/{name}/bundle.clipfold" for name in models]
        given = ["--configfile", str((place / "config.json").resolve())]
        subprocess.run([*command, *targets, *given], cwd=PROJECT, env=ENVIRONMENT, check=True)
        held.append([rows[i] for i in left])
    return held


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a table of videos, if there is none: a new one would train again."""
    if not path.exists():
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "group"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def timed(bundle: Path, videos: Sequence[Path], options: Sequence[str], output: Path) -> dict[str, float]:
    """Predict by the command, anew; returns wall and CPU time in s. Exit code 3: some videos cannot be used."""
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "clipfold.cli", "predict", bundle, *videos, "--no-page", "-o", output, *options]
    started = time.monotonic()
    process = subprocess.Popen([*map(str, command)], env=ENVIRONMENT, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 2, 3), said
    return {"wall_s": round(time.monotonic() - started, 2), "cpu_s": round(used.ru_utime + used.ru_stime, 2)}


def clips(
    folder: Path, name: str, copies: int, rounds: int, settings: Mapping[str, list[str]]
) -> dict[str, dict[str, float]]:
    """Predict the clips that were left out, each under as many names as `copies`, by each setting."""
    tables: dict[str, list[pd.DataFrame]] = {key: [] for key in settings}
    times: dict[str, list[dict[str, float]]] = {key: [] for key in settings}
    for place in sorted(folder.iterdir()):
        bundle, several = place / f"results/bundles/{name}/bundle.clipfold", repeated(place / "held.csv", copies)
        runs: dict[str, list[dict[str, float]]] = {key: [] for key in settings}
        for _ in range(rounds):
            for key, options in settings.items():
                runs[key].append(timed(bundle, [several], options, place / "out.parquet"))
                own = pd.read_parquet(place / "out.parquet")
                if len(runs[key]) == 1:
                    tables[key].append(own)
        for key, each in runs.items():
            times[key].append({what: min(run[what] for run in each) for what in each[0]})
    usual = pd.concat(tables["balanced"])
    return {
        key: {what: round(sum(each[what] for each in times[key]), 2) for what in ("wall_s", "cpu_s")}
        | {"accuracy": round(float((pd.concat(own).label == pd.concat(own).true_label).mean()), 4)}
        | difference(pd.concat(own), usual)
        for key, own in tables.items()
    }


def repeated(table: Path, copies: int) -> Path:
    """Write a table in which each video has several names."""
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    output = table.with_name(f"held x {copies}.csv")
    with open(output, "w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "path", "label", "group"])
        writer.writeheader()
        writer.writerows({"id": f"{k}-{i}"} | row for k in range(copies) for i, row in enumerate(rows))
    return output


def difference(own: pd.DataFrame, usual: pd.DataFrame) -> dict[str, float]:
    """Compare probabilities of the same videos or windows."""
    columns = [column for column in usual if column.startswith("p_")]
    change = np.abs(own[columns].to_numpy() - usual[columns].to_numpy()).max(axis=1)
    named = [each.get("label", each[columns].idxmax(axis=1)).to_numpy() for each in (own, usual)]
    return {
        "mean_change": round(float(np.nanmean(change)), 4),
        "largest_change": round(float(np.nanmax(change)), 4),
        "changed": int((named[0] != named[1]).sum()),
    }


def make_long(rows: list[dict[str, str]], seconds: int, output: Path) -> None:
    """Make the long video, of 1080p and 25 frames per second; moving and still parts take turns."""
    if output.exists():
        return
    parts, total, number = [], 0.0, 0
    shape = "scale=1920:1080:force_original_aspect_ratio=decrease,pad=1920:1080:-1:-1,setsar=1,fps=25"
    while total < seconds:
        path, part = rows[number % len(rows)]["path"], output.with_name(f"part{number}.ts")
        _, length = imageio_ffmpeg.count_frames_and_secs(path)
        still = f"tpad=stop_mode=clone:stop_duration={STILL_S}"
        command = [FFMPEG, "-v", "error", "-y", "-i", path, "-an", "-vf", f"{shape},{still},noise=alls=3:allf=t"]
        subprocess.run([*command, "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", part], check=True)
        parts.append(part)
        total, number = total + length + STILL_S, number + 1
    joined = "concat:" + "|".join(map(str, parts))
    subprocess.run([FFMPEG, "-v", "error", "-y", "-i", joined, "-c", "copy", "-t", str(seconds), output], check=True)
    for part in parts:
        part.unlink()


def long_video(
    bundle: Path, video: Path, rounds: int, settings: Mapping[str, list[str]]
) -> dict[str, dict[str, float]]:
    """Predict the windows of the long video by each setting."""
    tables, times = {}, dict[str, list[dict[str, float]]]()
    output = video.with_name("windows.parquet")
    for _ in range(rounds):
        for key, options in settings.items():
            times.setdefault(key, []).append(timed(bundle, [video], [*WINDOWS, *options], output))
            tables[key] = pd.read_parquet(output)
    return {
        key: {what: round(min(each[what] for each in times[key]), 2) for what in ("wall_s", "cpu_s")}
        | {"windows": len(own), "not_looked_at": int(own.reason.str.startswith("unchanged").sum())}
        | difference(own, tables["balanced"])
        for key, own in tables.items()
    }


def several(bundle: Path, video: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Predict the windows of the long video under four names, one after the other and several at the same time."""
    names = [video.with_name(f"{number} {video.name}") for number in range(4)]
    for name in names:
        name.unlink(missing_ok=True)
        name.symlink_to(video.name)
    workers = {"one": ["--workers", "1"], "as many as cores": []}
    runs: dict[str, list[dict[str, float]]] = {key: [] for key in workers}
    for _ in range(rounds):
        for key, options in workers.items():
            runs[key].append(timed(bundle, names, [*WINDOWS, *options], video.with_name("four.parquet")))
    return {key: {what: min(run[what] for run in own) for what in own[0]} for key, own in runs.items()}


def main() -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="table with path, label and group")
    parser.add_argument("--folder", type=Path, required=True, help="where to train; what is there is used again")
    parser.add_argument("--models", nargs="+", default=[*MODELS], choices=[*MODELS], help="(default: %(default)s)")
    known = [*BOTH, *OF_WINDOWS]
    parser.add_argument(
        "--settings",
        nargs="+",
        default=known,
        choices=known,
        metavar="SETTING",
        help="one or more of the settings, such as fast (default: all)",
    )
    parser.add_argument("--copies", type=int, default=8, help="names of each clip (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=600, help="length of the long video (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="the least time of each counts (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    wanted = {"balanced", *args.settings}
    of_clips = {key: options for key, options in BOTH.items() if key in wanted}
    of_both = {key: options for key, options in (BOTH | OF_WINDOWS).items() if key in wanted}
    held = train(args.manifest, args.folder / "runs", args.models)
    video = args.folder / f"{args.seconds} s.mp4"
    make_long(held[0], args.seconds, video)
    found: dict[str, Any] = {}
    for name in args.models:
        bundle = args.folder / f"runs/0/results/bundles/{name}/bundle.clipfold"
        start = timed(bundle, [args.folder / "gone.mp4"], [], args.folder / "start.parquet")
        found[name] = {"start": start, "clips": clips(args.folder / "runs", name, args.copies, args.rounds, of_clips)}
        found[name]["long"] = long_video(bundle, video, args.rounds, of_both)
        found[name]["four long videos"] = several(bundle, video, args.rounds)
        print(name, json.dumps(found[name], indent=1), flush=True)
        if args.json:
            write_json(args.json, found)


if __name__ == "__main__":
    main()
