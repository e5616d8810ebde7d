"""Gather the facts of a run and write the report; the templates in `page/` hold the text."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from clipfold.evaluation import figures
from clipfold.evaluation.intervals import resamples_of
from clipfold.evaluation.tables import NAMES
from clipfold.leakage.recall import measured_recall
from clipfold.report import coarser, dataset, evidence, scores, tabular, usage, videos
from clipfold.report.claims import chance, claims
from clipfold.report.render import render, svg
from clipfold.report.task import ReportTask
from clipfold.resources.speed import device_of, summarise
from clipfold.resources.usage import WATTS_PER_CORE, WATTS_PER_GPU
from clipfold.storage.assigned import in_order, read_assigned
from clipfold.storage.files import PathLike, read_json, read_table
from clipfold.storage.places import without_places
from clipfold.storage.replace import replacing
from clipfold.storage.trainings import by_training

FIGURES = ("roc", "precision_recall", "confusion", "reliability")


def write_report(task: ReportTask) -> None:
    """Write the report as a page that needs no other file and no network."""
    assigned, unlabelled = read_assigned(task.splits), read_table(task.evaluation["unlabelled"]).to_pandas()
    rejected = read_table(task.quarantine).to_pandas()
    labels = pd.concat([assigned.drop_duplicates("id"), rejected]).set_index("id")["label"]
    probed = read_table(task.metadata, None if task.features else (*dataset.COLUMNS, "content")).to_pandas()
    probed["label"] = probed.id.map(labels).fillna("")
    classes = in_order(assigned.label.unique(), task.positive)
    metrics = read_table(task.evaluation["metrics"]).to_pandas()
    comparison = scores.comparison(read_table(task.evaluation["comparison"]).to_pandas(), metrics)
    order = [row["model"] for row in comparison]
    rivals = [row["model"] for row in comparison if not row["shortcut"]]
    shown = evidence.worth_showing(comparison, chance(comparison[0]["metric"], len(classes)))
    predictions = videos.mean_over_repeats(read_table(task.evaluation["predictions"]).to_pandas(), classes)
    audit = dataset.audited(read_json(task.audit))
    coarse = read_json(task.coarser_groups) if task.coarser_groups else None
    slices = read_table(task.evaluation["slices"]).to_pylist()
    curves = {model: tables for model, paths in task.histories.items() if (tables := _epochs(paths))}
    fits = {model: [read_json(path) for path in paths] for model, paths in task.records.items()}
    models = {model: _model(own) for model, own in fits.items()}
    stages = usage.stages(task.benchmarks, {f"train_{model}": _gpu_seconds(own) for model, own in fits.items()})
    facts: dict[str, Any] = {
        "classes": classes,
        "groups": assigned.group.nunique(),
        "folds": assigned.fold.nunique(),
        "accounting": dataset.account(probed.id, predictions, rejected.id, _never_tested(assigned), unlabelled),
        "audit": audit,
        "recall": measured_recall(),
        "quarantine": scores.records(rejected.sort_values("id")),
        "dataset": (dataset.rows_by_class if task.features else dataset.by_class)(probed, assigned),
        "table": tabular.facts(task.features, probed) if task.features else None,
        "splits": dataset.by_fold(assigned),
        "unlabelled": scores.unlabelled(unlabelled, rivals),
        "comparison": comparison,
        "axis": scores.axis(comparison, chance(comparison[0]["metric"], len(classes))),
        "external": _external(task.external),
        "chance": chance(comparison[0]["metric"], len(classes)),
        "claims": claims(comparison, audit, *_groups_and_shares(assigned), _networks(fits, rivals), coarse),
        "coarser": coarser.described(coarse),
        "resamples": resamples_of(assigned.group[assigned["split"] == "test"].nunique()),
        "names": NAMES,
        "metrics": scores.metrics(metrics, order, "argmax"),
        "metrics_at_threshold": scores.metrics(metrics, order, "val"),
        "per_class": scores.per_class(metrics, order),
        "confusions": scores.confusions(predictions, order) if len(classes) > figures.PICTURE_ABOVE else None,
        "pairs": read_table(task.evaluation["pairs"]).to_pylist(),
        "calibration": read_table(task.evaluation["calibration"]).to_pylist(),
        "bounded": _bounded(task.evaluation["choices"]),
        "slices": [row for row in slices if row["worse"]],
        "slices_of_best": [row for row in slices if row["model"] == order[0] and row["fact"] != "group"],
        **{name: svg(Path(task.evaluation[name]).read_text("utf-8")) for name in FIGURES},
        "gallery": videos.gallery(predictions, rivals, task.clips, task.index, task.whole),
        "videos": videos.table(predictions, order, classes),
        "evidence": evidence.read(task.explanations, shown),
        "withheld": [model for model in rivals if model in task.explanations and model not in shown],
        "learning_curves": svg(figures.learning_curves(curves)) if curves else None,
        "stages": stages,
        "watts": {"core": WATTS_PER_CORE, "gpu": WATTS_PER_GPU},
        "total": usage.total(stages),
        "speeds": [speed for model, own in fits.items() if (speed := summarise(model, own))],
        "seed": task.config["seed"],
        "config": json.dumps(task.config, indent=2, ensure_ascii=False),
        "data_fingerprint": _digest(task.labels, probed),
        "fingerprints": task.fingerprints,
        "settings": list(dict.fromkeys(key for model in models.values() for key in model["settings"])),
        "models": models,
        "versions": _versions("clipfold", "snakemake", "torch", "scikit-learn", "numpy", "av"),
    }
    if task.features:
        tabular.add_cells(facts["gallery"], task.features)
    page = render(facts, noun="row" if task.features else task.config.get("modality", "video"))
    with replacing(task.output) as file:
        file.write(without_places(page, probed.id, task.config).encode())


def _external(path: PathLike | None) -> dict[str, Any] | None:
    """Read what is said of an external test, with the place of its own page, relative to the report's."""
    found: dict[str, Any] | None = read_json(path) if path is not None else None
    return found and found | {"page": "../predictions/index.html"}


def _groups_and_shares(assigned: pd.DataFrame) -> tuple[dict[str, int], dict[str, float]]:
    """Return the number of groups of each class, and its share of the videos."""
    videos = assigned.drop_duplicates("id")
    groups = {str(name): int(own.group.nunique()) for name, own in videos.groupby("label")}
    return groups, {name: float((videos.label == name).mean()) for name in groups}


def _networks(fits: Mapping[str, Sequence[Mapping[str, Any]]], models: Sequence[str]) -> list[str]:
    """List the models that each fold trained once from a random start: chance in training is not in their interval."""
    return [model for model in models if fits[model][0]["settings"].get("seeds") == 1]


def _epochs(paths: Sequence[PathLike]) -> list[pd.DataFrame]:
    """Read the training histories of a model; empty if it was not trained over several epochs."""
    tables = [own for path in paths for own in by_training(pd.read_csv(path))]
    return tables if max(map(len, tables)) > 1 else []


def _never_tested(assigned: pd.DataFrame) -> pd.Series:
    """List the videos in no test split, as a manifest's own split may leave some out."""
    return pd.Series(sorted(set(assigned.id) - set(assigned.id[assigned.split == "test"])), dtype=str)


def _gpu_seconds(records: Sequence[Mapping[str, Any]]) -> float:
    """Add up the GPU seconds of a model's fits."""
    return sum(float(r["seconds"] * r.get("processes", 1)) for r in records if r.get("device", "cpu") != "cpu")


def _digest(labels: str, probed: pd.DataFrame) -> str:
    """Hash the ids, labels, groups and contents of the videos, regardless of their order in the manifest."""
    rows = probed[["id", "content"]].fillna("").astype(str).sort_values("id").to_numpy().tolist()
    return hashlib.blake2b(json.dumps([labels, rows]).encode(), digest_size=8).hexdigest()


def _model(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the records of a model's fits; facts that differ between folds are listed by fold."""
    first = records[0]
    facts = {
        "features": len(first.get("features", [])) or None,
        "parameters": first.get("parameters"),
        "epochs": [r["best_epoch"] for r in records if "best_epoch" in r],
        "chosen": [_in_words(r["chosen"]) for r in records if r.get("chosen")],
        "views": _views([r["views_at_test"] for r in records if "views_at_test" in r]),
        "devices": sorted({device_of(r) for r in records if "device" in r}),
        "seconds": [r["seconds"] for r in records if "seconds" in r],
    }
    return {"settings": first["settings"], **facts}


def _views(effects: Sequence[Mapping[str, Sequence[float]]]) -> str:
    """Say what several views of each test video changed, as means over the folds.

    >>> _views([{"accuracy": [0.5, 0.75], "log_loss": [0.7, 0.6]}])
    'accuracy 0.500 to 0.750, log-loss 0.700 to 0.600'
    """
    names = ("accuracy", "log_loss") if effects else ()
    means = {name: [fmean(effect[name][place] for effect in effects) for place in (0, 1)] for name in names}
    return ", ".join(f"{name.replace('_', '-')} {one:.3f} to {every:.3f}" for name, (one, every) in means.items())


def _bounded(choices: PathLike) -> dict[str, list[int]]:
    """Count the folds of each model in which the temperature hit a bound, and all; without models that have none."""
    table = read_table(choices, ["model", "bounded"]).to_pandas()
    counts = {str(name): [int(own.bounded.sum()), len(own)] for name, own in table.groupby("model")}
    return {name: count for name, count in counts.items() if count[0]}


def _in_words(chosen: Mapping[str, Any]) -> str:
    """Write what a fold chose.

    >>> _in_words({"motion": {"C": 0.1}, "noise": {"C": 1}}), _in_words({"member": "svm"})
    ('motion: C 0.1; noise: C 1', 'svm')
    """
    if "member" in chosen:
        return str(chosen["member"])
    nested = any(isinstance(value, Mapping) for value in chosen.values())
    if nested:
        return "; ".join(f"{name}: {_in_words(own)}" for name, own in chosen.items())
    return ", ".join(f"{name} {value}" for name, value in chosen.items())


def _versions(*packages: str) -> dict[str, str]:
    """Look up the versions of Python and of the installed packages."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
