"""Measure what each group of handcrafted features tells, alone and together, without any trained weights.

    python benchmarks/signals.py --manifest videos.csv --json signals.json
    python benchmarks/signals.py --manifest videos.csv --encoder timm/NAME --weights FILE --json encoder.json
    python benchmarks/signals.py --tampered --json tampered.json

A logistic regression, its strength chosen by inner grouped folds, is tested in 5 grouped folds x 5 repeats. With
`--tampered`, each kind of tampering of the demo is told from real films by itself. The CPU time of the features is
compared with that of decoding in the same run. With `--encoder`, embeddings of frames of 224 pixels by a frozen encoder
are one group more, alone and together with the others; their time is compared with a bare loop over the same frames.

(Not named signal.py: a script's folder comes first on Python's path, and all scripts here import the library's signal.)
"""

import argparse
import csv
import json
import resource
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from clipfold.demo.encode import Take, decode, encode
from clipfold.demo.places import PLACES
from clipfold.demo.scenes import Frames, add_noise, draw_scene, film
from clipfold.demo.tampering import drop_frames, hold_frame, splice
from clipfold.demo.write import INSERT_GRAINS, INSERT_NOISE
from clipfold.evaluation import intervals, within_folds
from clipfold.features.embedding import pool_shards, read_pooled
from clipfold.features.extract import extract_shard
from clipfold.features.registry import GROUPS, group_of
from clipfold.models.architectures.logistic_regression import build
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.embed import embed_shards
from clipfold.models.encoders import encoder
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import read_table
from clipfold.storage.job import keep_freed_memory
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS, REPEATS, INNER = 5, 5, 4
ROUNDS = 3
"""Embeddings of all videos, of which the fastest counts."""
SHORTCUTS = ("brightness", "container", "frame")
ACTION = ("motion", "violent_flow", "regions", "texture")
TRACES = ("noise", "compression", "temporal")
EMBEDDING = "embedding.frozen"
KINDS = ("splice", "compressed splice", "hold", "drop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="table with path, label (two of them) and group")
    parser.add_argument("--tampered", action="store_true", help="make the demo's kinds of tampering instead")
    parser.add_argument("--encoder", help="source of a frozen encoder, as in `encoders:` of the config")
    parser.add_argument("--weights", default="", help="file of its weights")
    parser.add_argument("--positive", help="positive label (default: the last in the alphabet)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    keep_freed_memory()  # as every job does
    if not arguments.tampered and not arguments.manifest:
        parser.error("name a table by --manifest, or use --tampered")
    with tempfile.TemporaryDirectory() as name:
        manifest = make_tampered(Path(name)) if arguments.tampered else arguments.manifest
        features, cost = measured(manifest, Path(name), arguments.encoder, arguments.weights)
        videos = pd.read_csv(manifest).set_index("path").loc[features.index]
    figures: dict[str, Any] = {"videos": len(features), "columns": features.shape[1], "cpu_seconds_per_video": cost}
    if arguments.tampered:
        sets = {group: [group] for group in TRACES} | {"together": list(TRACES)}
        for kind in KINDS:
            rows = videos.label.isin(["real", kind]).to_numpy()
            figures[kind] = table(features[rows], videos.label[rows] == kind, videos.group[rows], sets)
    else:
        groups = [group for group in GROUPS if group not in SHORTCUTS]
        sets = {group: [group] for group in GROUPS} | {"action": list(ACTION), "all": groups}
        if arguments.encoder:
            own = [EMBEDDING]
            together = {"embedding and regions": [*own, "regions"], "embedding and action": [*own, *ACTION]}
            sets = {"embedding": own, **together, "embedding and all": [*own, *groups]}
        positive = arguments.positive or max(videos.label)
        figures["scores"] = table(features, videos.label == positive, videos.group, sets)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(
    manifest: Path, folder: Path, source: str | None = None, weights: str = ""
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Decode videos and compute their features; returns a row per video, and the CPU seconds of both per video."""
    with manifest.open(encoding="utf-8", newline="") as file:
        paths = {row["path"]: str(manifest.parent / row["path"]) for row in csv.DictReader(file)}
    large: Any = {"large": {"kind": "uniform", "frames": 16, "size": 224}} if source else {}
    settings = DecodeSettings(views={**DecodeSettings().views, **large})
    metadata, index, output = (folder / f"{name}.parquet" for name in ("metadata", "index", "features"))
    arrays = {name: folder / f"{name}.npy" for name in settings.views}
    probe_shard(paths, metadata, ProbeSettings(), workers=1)
    began = cpu()
    decode_shard(paths, metadata, arrays, index, settings, workers=1)
    decoded = cpu()
    extract_shard(metadata, index, {name: path for name, path in arrays.items() if name != "large"}, output)
    done = cpu()
    features = read_table(output).to_pandas().set_index("id")
    stored = sum(path.stat().st_blocks * 512 for path in arrays.values())
    cost = {"decode": (decoded - began) / len(features), "features": (done - decoded) / len(features)}
    cost |= {"ratio": cost["features"] / cost["decode"], "megabytes_stored": stored / len(features) / 1e6}
    if source:
        found, cost["embed_to_bare_loop"] = embedded(arrays["large"], index, source, weights)
        features = features.join(found)
    print({name: round(value, 3) for name, value in cost.items()}, flush=True)
    return features, cost


def embedded(clips: Path, index: Path, source: str, weights: str) -> tuple[pd.DataFrame, float]:
    """Embed clips by the job's own code; returns the features, and its CPU time over a bare loop's, taking turns."""
    settings = {"encoder": source, "size": 224, "weights": weights, "download": False}
    output, facts, table = (clips.with_name(name) for name in ("embedded.npy", "embedded.json", "embedded.parquet"))
    network, stored = encoder(source, 224, weights, False).eval(), np.load(clips)
    spent: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(ROUNDS):
        began = cpu()
        frames = [torch.from_numpy(clip).permute(0, 3, 1, 2).float().div(127.5).sub(1) for clip in stored]
        with torch.inference_mode():
            for clip in frames:
                network(clip.contiguous(memory_format=torch.channels_last))
        spent["bare"].append(cpu() - began)
        output.unlink(missing_ok=True)  # or nothing would be embedded again
        began = cpu()
        embed_shards({output: [clips]}, facts, settings, seed=0, threads=torch.get_num_threads())
        spent["ours"].append(cpu() - began)
    pool_shards([output], facts, [index], table)
    return read_pooled([table], EMBEDDING)[0], min(spent["ours"]) / min(spent["bare"])


def cpu() -> float:
    """Return the CPU seconds of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def table(features: pd.DataFrame, labels: Any, groups: Any, sets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Score each set of groups and print a row for it."""
    y, g = np.asarray(labels).astype(int), pd.factorize(groups)[0]
    scores = {}
    for name, chosen in sets.items():
        columns = [column for column in features if group_of(column) in chosen]
        scores[name] = {"columns": len(columns)} | scored(features[columns].to_numpy(), y, g)
        shown = ("{0[value]:.3f} ({0[low]:.2f}-{0[high]:.2f})".format(scores[name][m]) for m in ("accuracy", "auc"))
        print(f"| {name} | {len(columns)} | {' | '.join(shown)} |", flush=True)
    return scores


def scored(x: Any, y: Any, g: Any) -> dict[str, Any]:
    """Return accuracy and ROC-AUC within folds, means over the repeats, with 95 % intervals over groups."""
    counts = intervals.draw(g.max() + 1, 0)
    found: dict[str, list[Any]] = {"accuracy": [], "auc": []}
    draws: dict[str, list[Any]] = {"accuracy": [], "auc": []}
    for repeat in range(REPEATS):
        p, fold = np.zeros(len(y)), np.zeros(len(y), int)
        parts = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat).split(x, y, g)
        for number, (train, test) in enumerate(parts):
            strength = chosen_strength(x[train], y[train], g[train], repeat)
            p[test], fold[test] = fitted(strength, x[train], y[train], x[test]), number
        found["accuracy"].append(((p > 0.5) == y).mean())
        found["auc"].append(within_folds.auc(y == 1, p, g, fold))
        draws["accuracy"].append(intervals.decisions(y, (p > 0.5).astype(int), g, counts, 2)[0]["accuracy"])
        draws["auc"].append(within_folds.resampled(y == 1, p, g, fold, counts))
    degrees = intervals.degrees_of_freedom(y, g)
    extra = intervals.training(len(y), len(y) * (FOLDS - 1) / FOLDS)
    scores = {}
    for metric, values in found.items():
        error = intervals.standard_error(np.mean(draws[metric], axis=0), g.max() + 1, extra)
        low, high = intervals.interval(float(np.mean(values)), error, degrees)
        scores[metric] = {"value": float(np.mean(values)), "low": low, "high": high}
    return scores


def chosen_strength(x: Any, y: Any, g: Any, seed: int) -> float:
    """Choose the regularisation by the log-loss of inner grouped folds."""
    p = np.zeros((len(STRENGTHS), len(y)))
    for train, test in StratifiedGroupKFold(INNER, shuffle=True, random_state=seed).split(x, y, g):
        for number, strength in enumerate(STRENGTHS):
            p[number, test] = fitted(strength, x[train], y[train], x[test])
    return STRENGTHS[int(np.argmin([log_loss(y, each) for each in p]))]


def fitted(strength: float, x: Any, y: Any, new: Any) -> Any:
    """Fit and return the probabilities of new videos."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = build(ARCHITECTURES["logistic_regression"].settings | {"C": strength}, 0)
        return model.fit(x, y).predict_proba(new)[:, 1]


def make_tampered(folder: Path) -> Path:
    """Write a real film of each place and take of the demo, and one for each kind of tampering; return their table."""
    rows = []
    for number, place in enumerate(PLACES):
        scene = draw_scene(np.random.default_rng(number))
        for take in place.takes:
            for kind in ("real", *KINDS):
                path = f"{place.name}-{take.codec}-{kind}{take.suffix}"
                rng = np.random.default_rng(list(path.encode()))
                frames = tampered(kind, scene, take, place.size, rng)
                quality = 0.3 * rng.uniform(0.7, 1.3)
                (folder / path).write_bytes(encode(frames, take, bits_per_pixel=quality, turns=place.turns))
                rows.append({"path": path, "label": kind, "group": place.name})
    pd.DataFrame(rows).to_csv(folder / "tampered.csv", index=False)
    return folder / "tampered.csv"


def tampered(kind: str, scene: Any, take: Take, size: tuple[int, int], rng: np.random.Generator) -> Frames:
    """Film a scene and tamper with the film in one way, as `clipfold.demo.write.shoot` does in several."""
    gap = take.frames // 4 if kind == "drop" else 0
    host = film(scene, rng, frames=take.frames + gap, size=size, fps=float(take.fps))
    if kind == "drop":
        return drop_frames(host, gap, rng)
    if kind == "hold":
        return hold_frame(host, rng)
    if kind == "real":
        return host
    insert = film(draw_scene(rng), rng, frames=take.frames, size=size, fps=float(take.fps))
    insert = add_noise(insert, rng, level=INSERT_NOISE, grain=min(size) / INSERT_GRAINS)
    if kind == "compressed splice":
        insert = decode(encode(insert, Take("mpeg4", ".avi", take.fps, take.frames), bits_per_pixel=0.03))
    return splice(host, insert, rng)


if __name__ == "__main__":
    main()
