"""Make the tables of a run of many videos, and measure the stages that read all of them, each in a process of its own.

Videos, predictions and records of training are made up; splits, audit, check, evaluation and report are the package's
own. `scale.py --results` runs it.
"""

import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.storage.files import Array, write_json, write_table
from clipfold.storage.replace import replacing

SHARD = 1024
CLASSES = ("fake", "real")
MODELS = {
    "logistic_regression": True,
    "svm": True,
    "feature_ensemble": True,
    "naive_cnn": False,
    "x3d": False,
    "slowfast": False,
}
"""Whether a model's table has predictions for the train split, too, as those on features have."""
FOLDS = 5
OUTPUTS = ("predictions", "metrics", "comparison", "pairs", "choices", "calibration", "bins", "slices", "unlabelled")
FIGURES = ("roc", "precision_recall", "confusion", "reliability")


def names(count: int) -> Array:
    return np.array([f"videos/{number // 1000:04}/{number:07}.mp4" for number in range(count)], object)


def make(folder: Path, count: int) -> None:
    """Write manifest, metadata, indices, matches and features of videos in groups of four; one in 500 is unreadable."""
    rng, ids = np.random.default_rng(0), names(count)
    label = np.array(CLASSES, object)[(rng.random(count) < 0.5).astype(int)]
    group = np.char.add("recording-", (np.arange(count) // 4).astype(str)).astype(object)
    pd.DataFrame({"path": ids, "label": label, "group": group}).to_csv(folder / "videos.csv", index=False)
    broken = rng.random(count) < 0.002
    digest = np.char.add("digest-", np.arange(count).astype(str)).astype(object)
    facts = {
        "id": ids,
        "status": np.where(broken, "unreadable", "ok").astype(object),
        "reason": np.where(broken, "no picture could be decoded", "").astype(object),
        "frames": rng.integers(30, 300, count),
        "first_frame": np.zeros(count, np.int32),
        "duration": rng.uniform(1, 10, count),
        "fps": rng.choice([24.0, 25.0, 30.0], count),
        "vfr": rng.random(count) < 0.1,
        "width": rng.choice([640, 1280], count),
        "height": np.full(count, 360),
        "codec": rng.choice(np.array(["h264", "hevc"], object), count),
        "has_audio": rng.random(count) < 0.5,
        "size_bytes": rng.integers(100_000, 900_000, count),
        "digest": digest,
        "content": digest,
    }
    columns = {name: pa.array(values) for name, values in facts.items()}
    empty = pa.array([""] * count)
    for start in range(0, count, SHARD):
        shard = folder / f"shards/{start // SHARD:05}"
        part = {name: values.slice(start, SHARD) for name, values in columns.items()}
        size = len(part["id"])
        probed = {name: part.get(name, pa.nulls(size)) for name in _probed().names}
        write_table(shard / "metadata", pa.table(probed, _probed()))
        rows = np.where(broken[start : start + SHARD], None, np.cumsum(~broken[start : start + SHARD]) - 1)
        index = {
            "id": part["id"],
            "row": pa.array(rows, pa.int32()),
            "status": part["status"],
            "reason": part["reason"],
        }
        box = pa.FixedSizeListArray.from_arrays(pa.array(np.tile([0, 0, 112, 112], size), pa.int16()), 4)
        write_table(shard / "index", pa.table(index | {"warning": empty.slice(0, size), "clips_box": box}))
        write_table(
            shard / "features",
            pa.table(
                {"id": part["id"], "brightness.mean": rng.uniform(0, 255, size), "motion.speed_mean": rng.random(size)}
            ),
        )
        with replacing(shard / "clips") as file:
            shape = (int((~broken[start : start + SHARD]).sum()), 16, 112, 112, 3)
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(file.tell() + math.prod(shape))  # a hole: the clips of a million videos take 600 GB
    one = np.flatnonzero(rng.random(count - 1) < 0.02)
    pairs = {
        "first": ids[one],
        "second": ids[one + 1],
        "change": ["copy"] * len(one),
        "score": rng.uniform(0.8, 1, len(one)),
    }
    frames = dict.fromkeys(("first_frame", "second_frame"), np.full(len(one), 8, np.int16))
    write_table(folder / "matches", pa.table(pairs | frames))


def make_predictions(folder: Path) -> None:
    """Write the predictions of all models on all folds, random but for some skill, and records of their training."""
    rng = np.random.default_rng(1)
    folds = pd.read_parquet(folder / "splits")
    for number, (model, every) in enumerate(MODELS.items()):
        for fold in range(FOLDS):
            place = folder / model / f"fold-{fold}"
            rows = folds[(folds.fold == fold) & (every | (folds.split != "train"))][["id", "label", "split"]]
            lean = (rows.label == CLASSES[1]).to_numpy() * (0.5 + number / 5) + rng.normal(0, 1, len(rows))
            real = (1 / (1 + np.exp(0.5 - lean))).astype(np.float32)
            write_table(
                place / "predictions.parquet",
                pa.Table.from_pandas(rows.assign(p_fake=1 - real, p_real=real), preserve_index=False),
            )
            epochs = np.arange(1, 2 if every else 25)
            pd.DataFrame({"epoch": epochs, "train_loss": 0.9**epochs, "val_loss": 0.5 + 0.5 * 0.9**epochs}).to_csv(
                place / "history.csv", index=False
            )
            write_json(place / "fit.json", {"fold": fold, "settings": {"seeds": 1, "C": 1.0}, "seconds": 60.0})


def run_splits(folder: Path) -> None:
    from clipfold.manifest.read import read_manifest
    from clipfold.settings import PolicySettings, SplitSettings
    from clipfold.splits.split import SplitTask, split

    split(
        SplitTask(
            videos=read_manifest(folder / "videos.csv"),
            metadata=_shards(folder, "metadata"),
            indices=_shards(folder, "index"),
            matches=folder / "matches",
            output=folder / "folds",
            quarantine=folder / "quarantine",
            audit=folder / "audit.json",
            settings=SplitSettings(folds=FOLDS, merge_near_duplicates=True),
            folds=FOLDS,
            given={},
            policy=PolicySettings(),
            allowed=["near_duplicates"],
            seed=0,
        )
    )


def run_audit(folder: Path) -> None:
    from clipfold.leakage.page import write_page

    shards = _shards(folder, "clips"), _shards(folder, "index")
    write_page(folder / "audit.json", folder / "folds", folder / "matches", *shards, folder / "audit.html")


def run_check(folder: Path) -> None:
    from clipfold.leakage.check import check_leakage

    check_leakage(folder / "folds", folder / "audit.json", folder / "audit.html", folder / "splits")


def run_evaluate(folder: Path) -> None:
    from clipfold.evaluation.evaluate import evaluate
    from clipfold.evaluation.task import EvaluationTask

    evaluate(
        EvaluationTask(
            predictions=_of_folds(folder, "predictions.parquet"),
            splits=folder / "splits",
            quarantine=folder / "quarantine",
            metadata=_shards(folder, "metadata"),
            features=_shards(folder, "features"),
            extras={},
            outputs=_outputs(folder),
            seed=0,
            audit=folder / "audit.json",
        )
    )


def run_report(folder: Path) -> None:
    from clipfold.report.task import ReportTask
    from clipfold.report.write import write_report

    write_report(
        ReportTask(
            evaluation=_outputs(folder),
            metadata=_shards(folder, "metadata"),
            splits=folder / "splits",
            quarantine=folder / "quarantine",
            audit=folder / "audit.json",
            clips=_shards(folder, "clips"),
            index=_shards(folder, "index"),
            histories=_of_folds(folder, "history.csv"),
            records=_of_folds(folder, "fit.json"),
            explanations={},
            benchmarks=folder / "benchmarks",
            output=folder / "index.html",
            config={"manifest": "videos.csv", "seed": 0},
            fingerprints={},
            labels="",
        )
    )


STAGES: dict[str, Callable[[Path], None]] = {
    "splits": run_splits,
    "audit": run_audit,
    "check_leakage": run_check,
    "evaluate": run_evaluate,
    "report": run_report,
}


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Run all stages; return wall and CPU seconds, peak memory in MB, and the size of the page in MB."""
    (folder / "shards").mkdir()
    make(folder, count)
    stages = {}
    for stage in STAGES:
        if stage == "evaluate":
            make_predictions(folder)
        command = [sys.executable, __file__, stage, str(folder)]
        done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, check=True)
        stages[stage] = json.loads(done.stdout)
        print(stage, stages[stage], file=sys.stderr, flush=True)
    total = {"wall_s": round(sum(own["wall_s"] for own in stages.values()), 1)}
    total |= {"peak_mb": max(own["peak_mb"] for own in stages.values())}
    return {
        "models": len(MODELS),
        "stages": stages,
        "total": total,
        "page_megabytes": round((folder / "index.html").stat().st_size / 1e6, 2),
    }


def _outputs(folder: Path) -> dict[str, Path]:
    every = (*OUTPUTS, "comparison_tex", "per_class_tex", *FIGURES, *(f"{name}_pdf" for name in FIGURES))
    return {name: folder / "evaluation" / name for name in every}


def _of_folds(folder: Path, file: str) -> dict[str, list[Path]]:
    return {model: [folder / model / f"fold-{fold}" / file for fold in range(FOLDS)] for model in MODELS}


def _shards(folder: Path, file: str) -> list[Path]:
    return [shard / file for shard in sorted((folder / "shards").iterdir())]


def _probed() -> pa.Schema:
    from clipfold.video.probe import SCHEMA

    return SCHEMA


if __name__ == "__main__":
    started = time.perf_counter()
    STAGES[sys.argv[1]](Path(sys.argv[2]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"wall_s": time.perf_counter() - started, "cpu_s": used.ru_utime + used.ru_stime}
    print(json.dumps({name: round(value, 1) for name, value in figures.items()} | {"peak_mb": used.ru_maxrss // 1024}))
