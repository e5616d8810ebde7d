"""Measure a fit on features, and its explanation, for many videos: CPU time and peak memory, each in its own process.

    python benchmarks/feature_fits.py --videos 1000 10000 100000 --json feature_fits.json

Features, labels and groups are made up: 28 columns in each feature group, about as many as in truth, of which every
tenth leans towards the class, so that no model is right all the time; four videos to a group. The first of five folds
is fitted with the default settings; `loss` is the log-loss on its test videos.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.features.registry import GROUPS
from clipfold.models.entries import plan_models
from clipfold.storage.files import read_table, write_table

SHARD = 1024
CLASSES = ("fake", "real")
MODELS = ("logistic_regression", "svm", "feature_ensemble")
NAMES = {"model": "model.skops", "history": "history.csv", "predictions": "predictions.parquet", "record": "fit.json"}
COMMON: dict[str, Any] = {"seed": 0, "threads": 1, "stored_size": 112}


def make(folder: Path, count: int) -> None:
    """Write the features of all videos in shards, and the first of five folds."""
    rng = np.random.default_rng(0)
    columns = [f"{group}.made_{number}" for group in GROUPS for number in range(28)]
    ids = np.array([f"videos/{number // 1000:04}/{number:07}.mp4" for number in range(count)], object)
    real, groups = rng.integers(0, 2, count), np.arange(count) // 4
    for start in range(0, count, SHARD):
        own = slice(start, start + SHARD)
        values = rng.standard_normal((len(ids[own]), len(columns)))
        values[:, ::10] += 0.2 * real[own, None]
        table = pd.DataFrame(values, columns=columns).assign(id=ids[own])
        write_table(folder / f"features/{start:08}", pa.Table.from_pandas(table, preserve_index=False))
    fold = groups % 5
    split = np.where(fold == 0, "test", np.where(fold == 1, "val", "train"))
    rows = {"id": ids, "label": np.array(CLASSES, object)[real], "group": groups.astype(str).astype(object)}
    rows |= {"fold": np.zeros(count, np.int16), "split": split.astype(object)}
    write_table(folder / "splits", pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False))


def fit(folder: Path, name: str) -> None:
    from clipfold.training import on_features
    from clipfold.training.task import Task

    (model,) = plan_models([name], largest_size=112, most_frames=16)
    on_features.fit(
        Task(
            module=model.module,
            settings=model.settings,
            data={"features": sorted((folder / "features").iterdir())},
            splits=folder / "splits",
            fold=0,
            outputs={kind: folder / name / file for kind, file in NAMES.items()},
            scratch=folder / "scratch",
            **COMMON,
        )
    )


def explain(folder: Path, name: str) -> None:
    from clipfold.explain import on_features
    from clipfold.explain.task import ExplainTask

    (model,) = plan_models([name], largest_size=112, most_frames=16)
    on_features.explain(
        ExplainTask(
            settings=model.settings,
            models=[folder / name / NAMES["model"]],
            predictions=[folder / name / NAMES["predictions"]],
            records=[folder / name / NAMES["record"]],
            data={"features": sorted((folder / "features").iterdir())},
            output=folder / name / "explanation",
            errors=0,
            hits=0,
            **COMMON,
        )
    )


STAGES = {"fit": fit, "explain": explain}


def measure(folder: Path, name: str) -> dict[str, Any]:
    """Fit and explain a model in processes of their own."""
    found: dict[str, Any] = {}
    for stage in STAGES:
        command = [sys.executable, __file__, "--stage", stage, name, str(folder)]
        done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, check=True)
        found[stage] = json.loads(done.stdout)
    table = read_table(folder / name / NAMES["predictions"]).to_pandas()
    tested = table[table.split == "test"]
    given = np.where(tested.label == CLASSES[1], tested[f"p_{CLASSES[1]}"], tested[f"p_{CLASSES[0]}"])
    return found | {"loss": round(float(-np.log(given).mean()), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="+", default=[1000, 10_000], help="(default: %(default)s)")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS, help="(default: all)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    for count in arguments.videos:
        with tempfile.TemporaryDirectory() as place:
            make(Path(place), count)
            for name in arguments.models:
                figures.setdefault(name, {})[count] = measure(Path(place), name)
                print(name, count, figures[name][count], flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    if "--stage" in sys.argv:
        stage, name, folder = sys.argv[2:]
        started = time.perf_counter()
        STAGES[stage](Path(folder), name)
        used = resource.getrusage(resource.RUSAGE_SELF)
        times = {"wall_s": time.perf_counter() - started, "cpu_s": used.ru_utime + used.ru_stime}
        print(json.dumps({key: round(value, 1) for key, value in times.items()} | {"peak_mb": used.ru_maxrss // 1024}))
    else:
        main()
