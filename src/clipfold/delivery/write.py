"""Write a bundle: a configured model with all that it needs to answer elsewhere."""

import datetime
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.delivery.card import model_card
from clipfold.delivery.description import FORMAT
from clipfold.delivery.embedding import TABLE
from clipfold.delivery.format import CARD, ENCODERS, FACE_MODEL, SEEN, listed, pack, write_description
from clipfold.delivery.golden import write_golden
from clipfold.delivery.opened import OpenBundle
from clipfold.delivery.reference import write_reference
from clipfold.delivery.task import BundleTask
from clipfold.evaluation.calibration import compare
from clipfold.evaluation.intervals import draw
from clipfold.evaluation.pooling import target_indices
from clipfold.evaluation.temperature import biases, scale
from clipfold.features.registry import VIEWS, versions_of
from clipfold.models.load import used_members
from clipfold.models.record import model_file, read_record, versions
from clipfold.settings import BEST
from clipfold.storage.assigned import in_order, read_assigned
from clipfold.storage.files import PathLike, read_frame, read_json, read_table, write_json
from clipfold.storage.hashing import stable_hash
from clipfold.storage.replace import write_whole
from clipfold.table.inputs import categories_of
from clipfold.video.region import FACE


def write_bundle(task: BundleTask) -> None:
    """Write the bundle of a model.

    Raises:
        ValueError: The model has no fits.
    """
    compared = read_table(task.evaluation["comparison"]).to_pandas()
    model = str(compared.model[~compared.shortcut].iloc[0]) if task.model == BEST else task.model
    require(model in task.folders, "bundle.models", model, f"use one of {', '.join(task.folders)}")
    with TemporaryDirectory(prefix="clipfold-") as name:
        folder = Path(name)
        fits = _copy_fits(model, task, folder)
        choices = read_choices(task.evaluation["choices"], model)
        description = _describe(model, task, fits, folder, choices)
        bundle = OpenBundle(folder, description)
        write_reference(folder, bundle, task, model, choices.set_index("fold"))
        _write_seen(folder, task)
        write_golden(folder, bundle)
        card = model_card(description, embedded=(folder / TABLE).exists()).encode()
        write_whole(folder / CARD, card)
        write_description(folder, description | {"files": listed(folder)})
        pack(folder, task.bundle)
        write_whole(task.card, card)


def _copy_fits(model: str, task: BundleTask, folder: Path) -> list[str]:
    """Copy the fits into the bundle; returns their folders in it."""
    sources = {m: [path] for m, path in task.finals.items()} if task.finals else task.folders
    names = [f"fits/{number}" for number in range(len(sources[model]))]
    for number, name in enumerate(names):
        _copy_fit(Path(sources[model][number]), folder / name, folder / ENCODERS)
        for member in used_members(read_record(folder / name / "fit.json")):
            _copy_fit(Path(sources[member][number]), folder / name / "members" / member, folder / ENCODERS)
    return names


def _copy_fit(source: Path, target: Path, encoders: Path) -> None:
    """Copy the record and the model of a fit, and the weights of its frozen encoder, which lie elsewhere."""
    record: Mapping[str, Any] = read_record(source / "fit.json")
    model = model_file(source, record)
    target.mkdir(parents=True)
    shutil.copyfile(model, target / model.name)
    if record.get("embedded"):
        from clipfold.models.clip_model import write_encoder  # loads PyTorch, which feature models do not need

        record = write_encoder(record, model, encoders)
        record = {**record, "encoder": record["encoder"] | _named(record["encoder"])}
    if record.get("encoders"):
        from clipfold.models.frozen import write_frozen  # loads PyTorch, as above

        record = {**record, "encoders": {g: write_frozen(own, encoders) for g, own in record["encoders"].items()}}
    write_json(target / "fit.json", {**record, "settings": record["settings"] | _named(record["settings"])})


def _named(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the weights that training began with by the name of their file: its place is nobody's business."""
    return {"weights": Path(settings["weights"]).name} if settings.get("weights") else {}


def _describe(model: str, task: BundleTask, fits: Sequence[str], folder: Path, choices: pd.DataFrame) -> dict[str, Any]:
    record = read_record(folder / fits[0] / "fit.json")
    splits = read_assigned(task.splits)
    used = splits.drop_duplicates("id")
    temperatures, added = choices.temperature.to_numpy(), biases(choices, record["classes"])
    if task.finals:
        temperatures, added = np.exp(np.log(temperatures).mean(keepdims=True)), added.mean(axis=0, keepdims=True)
    two = len(record["classes"]) == 2
    members = [read_record(path) for path in sorted((folder / "fits").rglob("fit.json"))]
    reads = {each["input"] for each in members}
    views = {"clips", *(VIEWS if "features" in reads and not task.table else ())}
    own = task.settings["decode"]
    decode = {**own, "views": {name: own["views"][name] for name in sorted(views)}}
    if any(options.get("region") == FACE for options in decode["views"].values()):
        shutil.copyfile(own["face_model"], folder / FACE_MODEL)
        decode["face_model"] = FACE_MODEL
    else:
        del decode["face_model"]  # nothing that older versions do not know, unless it is needed
    if decode["loop_filter"]:
        del decode["loop_filter"]
    return {
        "format": FORMAT,
        "modality": task.settings.get("modality", "video"),
        "name": model,
        "architecture": record["architecture"].rpartition(".")[2],
        "input": record["input"],
        "classes": record["classes"],
        "positive": in_order(record["classes"], task.positive)[1] if two else None,
        "threshold": _threshold(choices, in_order(record["classes"], task.positive)) if two else None,
        "fits": [
            {"folder": name, "temperature": float(t), "bias": bias.tolist()}
            for name, t, bias in zip(fits, temperatures, added, strict=True)
        ],
        "final": bool(task.finals),
        "settings": record["settings"],
        "decode": decode,
        "probe": task.settings["probe"],
        "policy": task.settings["policy"],
        "metrics": _metrics(task, model, in_order(record["classes"], task.positive), choices),
        "training": {
            "videos": len(used),
            "groups": int(used.group.nunique()),
            "folds": int(splits.fold.nunique()),
            "labels": {str(name): int(count) for name, count in used.label.value_counts().sort_index().items()},
            "digest": _digest(task, set(used.id)),
        },
        "leakage": read_json(task.audit)["mark"],
        "licences": _licences(members, decode),
        "versions": versions() | {"av": version("av")},
        "table": _table(task),
        "feature_versions": versions_of(column for each in members for column in each.get("features", ())),
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _table(task: BundleTask) -> dict[str, Any] | None:
    """Describe the rows that the model learned from; None for videos."""
    if task.table is None:
        return None
    kinds = task.table["columns"]
    used = set(read_table(task.splits, ("id",)).column("id").to_pylist())
    rows = read_frame(task.features)
    categories = categories_of(rows[rows.id.isin(used)], kinds)
    return {"columns": dict(kinds), "categories": categories, "names": dict(task.table["names"])}


def _threshold(choices: pd.DataFrame, classes: Sequence[str]) -> float:
    """Return the mean of the thresholds that the folds chose, for calibrated probabilities."""
    given = np.column_stack([1 - choices.threshold, choices.threshold]).clip(0, 1)
    return float(scale(given, choices.temperature.to_numpy(), biases(choices, classes))[:, 1].mean())


def read_choices(path: PathLike, model: str) -> pd.DataFrame:
    """Read what the folds of a model chose without their test videos, in the order of the folds.

    A temperature at a bound is no choice, but the lack of one: all validation videos were right, or nothing was
    learnt. There, probabilities stay as they are.
    """
    table = read_frame(path)
    own = table[table.model == model].sort_values("fold", ignore_index=True)
    none = {name: own[name].where(~own.bounded, 0.0) for name in own.columns if str(name).startswith("bias_")}
    return own.assign(temperature=own.temperature.where(~own.bounded, 1.0), **none)


def _metrics(task: BundleTask, model: str, classes: Sequence[str], choices: pd.DataFrame) -> list[dict[str, Any]]:
    """List the metrics over all classes on the pooled test splits; those of probabilities after calibration."""
    table = read_frame(task.evaluation["metrics"])
    rows = table[(table.model == model) & (table.scope == "pooled") & (table["class"] == "")]
    after = {row["metric"]: row for row in _calibrated(task, model, classes, choices)}
    listed = []
    for row in rows[["metric", "decision", "value", "low", "high"]].to_dict("records"):
        if row["metric"] in after:
            own = after[row["metric"]]
            row |= {"value": own["after"], "low": own["after_low"], "high": own["after_high"]}
        listed.append({str(name): None if value != value else value for name, value in row.items()})
    return listed


def _calibrated(task: BundleTask, model: str, classes: Sequence[str], choices: pd.DataFrame) -> list[dict[str, Any]]:
    """Compute calibration on the out-of-fold predictions before and after; returns rows of `calibration.compare`."""
    table = read_frame(task.evaluation["predictions"])
    table = table[table.model == model].reset_index(drop=True)
    before = table[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    chosen = choices.set_index("fold").loc[table.fold]
    after = scale(before, chosen.temperature.to_numpy(), biases(chosen, classes))
    groups = np.unique(table.group.to_numpy(str), return_inverse=True)[1]
    repeats = [np.flatnonzero(table["repeat"] == each) for each in sorted(table["repeat"].unique())]
    counts = draw(int(groups.max()) + 1, seed=0)
    targets = target_indices(table.label, classes)
    return compare(targets, before, after, groups, repeats, counts)


def _write_seen(folder: Path, task: BundleTask) -> None:
    """Write the beginning of the digest of each training video, to recognise it among videos to predict."""
    used = set(read_assigned(task.splits).id)
    rows = read_table(task.metadata, ("id", "digest")).to_pylist()
    digests = sorted({row["digest"][:16] for row in rows if row["id"] in used and row["digest"]})
    write_whole(folder / SEEN, "".join(f"{digest}\n" for digest in digests).encode())


def _digest(task: BundleTask, used: set[str]) -> str:
    """Hash labels, groups and contents of the training videos, in any order."""
    rows = read_table(task.metadata, ("id", "digest")).to_pylist()
    known = sorted((row["id"], row["digest"]) for row in rows if row["id"] in used)
    return f"{stable_hash(repr((task.labels, known))):016x}"


def _licences(records: Sequence[Mapping[str, Any]], decode: Mapping[str, Any]) -> list[str]:
    """State where weights came from that were not trained here."""
    notes = []
    if "face_model" in decode:
        notes.append(f"{FACE_MODEL}: found the faces that views show, by a network whose licence is not known here")
    begun = [
        (record["settings"].get("encoder") or record["architecture"].rpartition(".")[2], record["settings"])
        for record in records
    ]
    begun += [(own["encoder"], own) for record in records for own in record.get("encoders", {}).values()]
    for what, settings in begun:
        weights = settings.get("weights")
        if weights and settings.get("licence"):
            notes.append(f"{what}: began with published weights of the licence {settings['licence']}")
        elif weights == "pretrained":
            notes.append(f"{what}: began with published weights; the terms of their source and data apply")
        elif weights:
            notes.append(f"{what}: began with the weights in {Path(weights).name}, whose licence is not known here")
    return sorted(set(notes))
