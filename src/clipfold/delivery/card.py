"""The model card of a bundle: what it is, how good it is, and what may be claimed (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from clipfold.evaluation.tables import NAMES

_SHOWN = (
    "roc_auc_within",
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "log_loss",
    "ece",
)


def model_card(facts: Mapping[str, Any], *, embedded: bool = False) -> str:
    """Write the card in Markdown.

    Args:
        facts: The bundle's description, without `files`.
        embedded: Whether the bundle holds embeddings of training videos.
    """
    training, labels = facts["training"], facts["training"]["labels"]
    fits = len(facts["fits"])
    noun = "row" if facts.get("table") else facts.get("modality", "video")
    files = "TABLE.csv" if facts.get("table") else f"{noun.upper()}..."
    what = (
        f"one model, fitted on all training {noun}s with the settings and epochs that the folds chose"
        if facts["final"]
        else f"the mean of {fits} models, one for each fold"
    )
    parts = [
        f"# {facts['name']}",
        f"A classifier of {noun}s into {_listed(facts['classes'])}: {what}. Architecture `{facts['architecture']}`, "
        f"made by clipfold {facts['versions'].get('clipfold', '')} on {facts['created']}.",
        "## Use it",
        f"```\nclipfold predict {facts['name']}.clipfold {files} --output predictions.csv\n```",
        "## What it was trained on",
        f"{training['videos']} {noun}s of {training['groups']} groups (recordings, persons or cameras that folds keep "
        f"together): {', '.join(f'{count} {name}' for name, count in labels.items())}. "
        f"Digest of the training data: `{training['digest']}`.",
        "## How good it is",
        _estimate(facts).replace("video", noun),
        _table(facts),
        "## What may be claimed",
        *(claim.replace("video", noun) for claim in _claims(facts, embedded)),
        "## Weights",
        *([f"- {note}" for note in facts["licences"]] or ["All weights were trained from random ones."]),
        "## Versions",
        ", ".join(f"{name} {version}" for name, version in sorted(facts["versions"].items())),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _estimate(facts: Mapping[str, Any]) -> str:
    folds = facts["training"]["folds"]
    each = (
        f"Measured on {folds} folds: each video was predicted by a model that saw no video of its group. Intervals are "
        "95 %, from a bootstrap over groups."
    )
    if facts["final"]:
        return f"{each} They are of the models of the folds: for this one, fitted on all data, they are an estimate."
    return f"{each} The mean of all {folds} models, which this bundle is, could not be tested: expect it as good."


def _claims(facts: Mapping[str, Any], embedded: bool) -> list[str]:
    claims = [
        "- The figures hold for videos like those it was trained on. On others, such as of another camera, platform or "
        "time, measure it on labelled examples first: `clipfold predict` with a table of labels does so.",
        "- `distance` above 1 marks a video that is farther from the training data than 95 % of its videos from each "
        "other: do not rely on its probability.",
        "- A probability is calibrated on validation videos, at the frequencies of classes in the training data.",
    ]
    if embedded:
        claims.append(
            "- `embedding_distance` is the same as `distance`, in the space of its encoder. For it, the bundle holds "
            "embeddings of training videos: give it away only if these may be known."
        )
    if facts["leakage"]:
        claims.insert(0, f"- The run allowed leaks ({facts['leakage']}): the figures are too good.")
    return claims


def _table(facts: Mapping[str, Any]) -> str:
    """List metrics, those that need a class for classes as the bundle names them."""
    decisions = ("", "argmax" if facts["threshold"] is None else "val")
    rows = {row["metric"]: row for row in facts["metrics"] if row["decision"] in decisions}
    shown = [(NAMES.get(name, name), rows[name]) for name in _SHOWN if name in rows and rows[name]["value"] is not None]
    lines = [f"| {name} | {row['value']:.3f} | {_interval(row)} |" for name, row in shown]
    return "\n".join(["| metric | value | 95 % interval |", "| --- | --- | --- |", *lines])


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None or row["high"] is None else f"{row['low']:.3f} to {row['high']:.3f}"


def _listed(names: list[str]) -> str:
    few = ", ".join(f"*{name}*" for name in names[:10])
    return f"{few} and {len(names) - 10} more" if len(names) > 10 else few
