"""Make up a small run, with all inputs of the report."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from helpers.evaluated import OUTPUTS, write_facts

from clipfold.clips.filmstrip import encode_filmstrip
from clipfold.evaluation.evaluate import evaluate
from clipfold.evaluation.task import EvaluationTask
from clipfold.explain import on_clips, on_features
from clipfold.report.task import ReportTask
from clipfold.splits.split import QUARANTINE, SCHEMA
from clipfold.storage.files import ArrayWriter, write_json, write_table

NASTY = '<script>alert(1)</script> & "q".mp4'
TSV = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write_run(
    folder: Path, names: tuple[str, ...] = ("fight", "no_fight"), models: int = 4, count: int = 120
) -> ReportTask:
    """Make up a run; returns its report, yet to be written.

    Half of the models are networks. The `count` videos are in groups of five; two are quarantined.
    """
    random = np.random.default_rng(0)
    folds = 4
    ids = [f"clips/{i:03}.mp4" for i in range(count - 1)] + [NASTY]
    labels = [names[i % len(names)] for i in range(count)]
    used = range(count - 2)
    group = [f"recording {i // 5}" for i in range(count)]
    order = ("test", "val", "train", "train")
    probed = [
        {"id": ids[i], "label": labels[i], "group": group[i], "status": "ok", "frames": 60 + i, "duration": 2 + i / 30}
        | {"fps": 30.0, "vfr": i % 9 == 0, "width": 640, "height": 360, "codec": "h264", "has_audio": i % 2 == 0}
        for i in range(count)
    ]
    known = write_facts(folder, probed)
    splits = [
        {
            "id": ids[i],
            "label": labels[i],
            "group": group[i],
            "repeat": 0,
            "fold": f,
            "split": order[(i // 5 + f) % folds],
        }
        for f in range(folds)
        for i in used
    ]
    write_table(folder / "splits.parquet", splits, SCHEMA)
    rejected = [
        dict.fromkeys(QUARANTINE.names, "") | {"id": ids[i], "label": labels[i], "stage": stage, "status": status}
        for i, stage, status in ((count - 1, "probe", "truncated"), (count - 2, "decode", "corrupt"))
    ]
    write_table(folder / "quarantine.parquet", rejected, QUARANTINE)
    keys = ("groups_across_splits", "duplicates_across_splits", "duplicates", "conflicting_labels")
    audit = {key: [] for key in keys}
    write_json(folder / "audit.json", audit | {"leaks": 0, "manifest": count, "usable": len(used), "quarantined": 2})

    architectures = ("logistic_regression", "svm", "naive_cnn", "slowfast")
    entries = [architectures[i] if i < 4 else f"{architectures[i % 4]}_{i}" for i in range(models)]
    files: dict[str, dict[str, list[Path]]] = {kind: {} for kind in ("predictions", "histories", "records")}
    order = sorted(names)
    for number, model in enumerate(entries):
        network = number % 4 > 1
        skill = 0.05 + 0.3 * ((number + 1) % 4) / 4
        noise = random.dirichlet(np.ones(len(names)), count)
        values = skill * np.eye(len(names))[[order.index(label) for label in labels]] + (1 - skill) * noise
        table = pd.DataFrame(values, columns=[f"p_{name}" for name in order]).assign(id=ids, label=labels)
        for fold in range(folds):
            place = folder / model / f"fold-{fold}"
            split = {row["id"]: row["split"] for row in splits if row["fold"] == fold}
            rows = table.assign(split=table.id.map(split)).query("split == 'test' or split == 'val'")
            write_table(place / "predictions.parquet", pa.Table.from_pandas(rows, preserve_index=False))
            epochs = np.arange(1, 25 if network else 2)
            losses = {"train_loss": 0.9 * 0.9**epochs + 0.1, "val_loss": 0.7 - 0.03 * epochs + 0.0015 * epochs**2}
            rough = random.normal(0, 0.02, len(epochs))
            history = pd.DataFrame({"epoch": epochs} | {name: loss + rough for name, loss in losses.items()})
            history.to_csv(place / "history.csv", index=False)
            settings = {"C": 1.0, "features": ["motion", "noise"]}
            facts = {"parameters": 61_234, "best_epoch": 10 + fold, "device": "cpu"} if network else {"features": ["a"]}
            if network:
                facts["views_at_test"] = {"accuracy": [0.7, 0.72 + fold / 100], "log_loss": [0.6, 0.58]}
            settings = {"epochs": 30, "learning_rate": 1e-3, "seeds": 1} if network else settings
            write_json(place / "fit.json", {"fold": fold, "settings": settings, "seconds": 12.3 + fold, **facts})
            for kind, name in zip(files, ("predictions.parquet", "history.csv", "fit.json"), strict=True):
                files[kind].setdefault(model, []).append(place / name)
    benchmarks = folder / "benchmarks"
    (benchmarks / "decode").mkdir(parents=True)
    (benchmarks / "decode" / "0-of-2.tsv").write_text(TSV + "60.5\t0:01:00\t250.5\t1\t1\t1\t0\t0\t99\t110.0\n")
    (benchmarks / "decode" / "1-of-2.tsv").write_text(TSV + "40.0\t0:00:40\t300.0\t1\t1\t1\t0\t0\t99\t70.0\n")
    (benchmarks / "splits.tsv").write_text(TSV + "0.4\t0:00:00\t-\t-\t-\t-\tNA\t-\t0.0\tNA\n")
    outputs = {name: folder / "out" / name for name in OUTPUTS}
    assigned = {"splits": folder / "splits.parquet", "quarantine": folder / "quarantine.parquet"}
    evaluate(EvaluationTask(predictions=files["predictions"], **assigned, **known, extras={}, outputs=outputs, seed=0))
    return ReportTask(
        evaluation=outputs,
        metadata=[folder / "metadata.parquet"],
        **assigned,
        audit=folder / "audit.json",
        **write_clips(folder, ids),
        histories=files["histories"],
        records=files["records"],
        benchmarks=benchmarks,
        explanations=write_explanations(folder, entries, ids, order),
        output=folder / "index.html",
        config={"manifest": "videos.csv", "seed": 0},
        fingerprints={"probe": "0123456789abcdef"},
        labels="0123456789abcdef",
    )


def write_clips(folder: Path, ids: list[str]) -> dict[str, list[Path]]:
    """Write a few clips of blurred noise, shared by all videos."""
    random = np.random.default_rng(0)
    clips = np.stack(
        [
            [cv2.resize(frame, (112, 112), interpolation=cv2.INTER_CUBIC) for frame in coarse]
            for coarse in random.integers(0, 255, (8, 16, 14, 14, 3)).astype(np.uint8)
        ]
    )
    with ArrayWriter(folder / "clips.npy", clips.shape[1:], clips.dtype) as writer:
        for clip in clips:
            writer.append(clip)
    box = [14, 0, 84, 112]
    index = [{"id": name, "row": i % len(clips), "clips_box": box} for i, name in enumerate(ids)]
    write_table(folder / "index.parquet", pa.Table.from_pylist(index))
    return {"clips": [folder / "clips.npy"], "index": [folder / "index.parquet"]}


def write_explanations(folder: Path, models: list[str], ids: list[str], classes: list[str]) -> dict[str, Path]:
    """Write explanations of all models, where every third and fourth one is a network."""
    random = np.random.default_rng(0)
    paths = {}
    for number, model in enumerate(models):
        paths[model] = folder / model / "explanation.parquet"
        if number % 4 > 1:
            facts = {
                "label": classes[0],
                "predicted": classes[1],
                "probability": 0.9,
                "share": 1.0,
                "control": 0.25,
                "fold": 0,
            }
            clips = np.repeat(np.repeat(random.integers(0, 255, (10, 8, 18, 8, 3)).astype(np.uint8), 14, 2), 14, 3)
            rows = [
                facts
                | {
                    "id": name,
                    "wrong": i < 6,
                    "frames": 8,
                    "width": 112,
                    "height": 252,
                    "picture": encode_filmstrip(clip),
                }
                for i, (name, clip) in enumerate(zip(ids[-10:], clips, strict=True))
            ]
            write_table(paths[model], rows, on_clips.SCHEMA)
        else:
            rows = [
                {"feature": f"motion.f{i}", "value": 0.5 - i / 20, "sd": 0.1, "control": 0.01, "together": 4.0}
                for i in range(15)
            ]
            write_table(paths[model], rows, on_features.SCHEMA)
    return paths
