"""Measure what a second training on train and validation (`refit`) gives a network.

    python benchmarks/refit.py --manifest videos.csv --repeats 3 --json refit.json

Grouped folds, naive_cnn on small clips without augmented copies. The first training of `refit` is the one without it,
so that both are compared on the same folds, starts and calibrations: the second training alone makes the difference.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from signals import cpu
from sklearn.metrics import log_loss
from stored import model, output_files

from clipfold.clips.resize import resize_shard
from clipfold.evaluation import within_folds
from clipfold.evaluation.temperature import fit_calibration, scale
from clipfold.settings import DecodeSettings, ProbeSettings, SplitSettings
from clipfold.splits.assign import assign
from clipfold.storage.files import read_json, read_table, write_table
from clipfold.training.on_clips import fit_here
from clipfold.training.task import Task
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

FOLDS = 5
METRICS = ("auc", "log_loss", "calibrated_log_loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="table with path, label (two of them) and group")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    videos = pd.read_csv(arguments.manifest).sort_values("path", ignore_index=True)
    entry = model(architecture="naive_cnn", **{name: getattr(arguments, name) for name in ("size", "frames", "epochs")})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = stored(videos, arguments.manifest.parent, folder, arguments.size)
        splits = write_folds(videos, arguments.repeats, folder / "splits.parquet")
        found = [
            row
            for fold in range(FOLDS * arguments.repeats)
            for row in compared(Task(**task_of(entry, data, splits, fold, folder / f"{fold}")), videos)
        ]
    rows = pd.DataFrame(found)
    rows["repeat"] = rows.fold // FOLDS
    figures = {name: summary(own) for name, own in rows.groupby("training")}
    figures["seconds"] = rows.groupby("training").seconds.mean().to_dict()
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def stored(videos: pd.DataFrame, root: Path, folder: Path, size: int) -> dict[str, list[str]]:
    """Decode the videos to clips of a size; returns the data of a fit."""
    metadata, index, large, small = (folder / name for name in ("probed.parquet", "index.parquet", "c.npy", "s.npy"))
    settings = DecodeSettings(views={"clips": DecodeSettings().views["clips"]})
    probe_shard({path: str(root / path) for path in videos.path}, metadata, ProbeSettings(), workers=1)
    decode_shard({p: str(root / p) for p in videos.path}, metadata, {"clips": large}, index, settings, workers=1)
    resize_shard(large, small, size)
    return {"clips": [str(small)], "index": [str(index)], "augmented": [], "augmented_index": []}


def write_folds(videos: pd.DataFrame, repeats: int, path: Path) -> str:
    """Assign the videos to folds, of as many repeats, and write their table."""
    folds = assign(videos.label, videos.group, SplitSettings(folds=FOLDS, repeats=repeats), 0)
    tables = [
        videos.rename(columns={"path": "id"})[["id", "label", "group"]].assign(fold=fold, split=splits)
        for fold, splits in enumerate(folds)
    ]
    write_table(path, pa.Table.from_pandas(pd.concat(tables), preserve_index=False))
    return str(path)


def task_of(entry: Any, data: dict[str, list[str]], splits: str, fold: int, folder: Path) -> dict[str, Any]:
    """Return the arguments of a fit on a fold."""
    return {
        "module": entry.module,
        "settings": entry.settings | {"checkpoint_epochs": 0, "checkpoint_minutes": 0.0},
        "data": data,
        "splits": splits,
        "fold": fold,
        "outputs": output_files(folder / "first"),
        "seed": 0,
        "threads": 1,
        "scratch": folder / "scratch",
        "stored_size": entry.settings["size"],
    }


def compared(first: Task, videos: pd.DataFrame) -> list[dict[str, Any]]:
    """Train once and a second time on train and validation; returns a row for each test video and training."""
    second = replace(
        first,
        settings={**first.settings, "refit": True},
        chosen_by=first.outputs,
        outputs=output_files(Path(first.outputs["model"]).parents[1] / "second"),
    )
    groups, seconds = videos.set_index("path").group, []
    for task in (first, second):
        began = cpu()
        fit_here(task)
        seconds.append(cpu() - began)
    tables = [read_table(task.outputs["predictions"]).to_pandas() for task in (first, second)]
    names = [name for name in tables[0] if name.startswith("p_")]
    chosen = tables[0][tables[0].split == "val"]
    targets = (chosen.label == names[1].removeprefix("p_")).to_numpy(int)
    calibration = fit_calibration(targets, chosen[names].to_numpy(), groups[chosen.id].nunique())
    rows = []
    for name, table, took in zip(("without", "refit"), tables, seconds, strict=True):
        test = table[table.split == "test"]
        own = test[names].to_numpy()
        calibrated = scale(own, *calibration)
        for i, (_, row) in enumerate(test.iterrows()):
            rows.append(
                {
                    "fold": first.fold,
                    "training": name,
                    "group": groups[row.id],
                    "positive": f"p_{row.label}" == names[1],
                    "p": own[i, 1],
                    "calibrated": calibrated[i, 1],
                    "seconds": took,
                }
            )
    epoch = read_json(first.outputs["record"])["best_epoch"]
    print(f"fold {first.fold}: epoch {epoch}, {seconds[0]:.1f} and {seconds[1]:.1f} s", flush=True)
    return rows


def summary(rows: pd.DataFrame) -> dict[str, list[float]]:
    """Score each repeat of the folds."""
    found: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for _, own in rows.groupby("repeat"):
        y, g, folds = own.positive.to_numpy(), pd.factorize(own.group)[0], own.fold.to_numpy()
        found["auc"].append(round(float(within_folds.auc(y, own.p.to_numpy(), g, folds)), 4))
        found["log_loss"].append(round(float(log_loss(y, own.p)), 4))
        found["calibrated_log_loss"].append(round(float(log_loss(y, own.calibrated)), 4))
    return found | {"mean": [round(float(np.mean(found[metric])), 4) for metric in METRICS]}


if __name__ == "__main__":
    main()
